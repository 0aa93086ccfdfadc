"""`predict`: forecasts for the rows of a file, by a version chosen by stage or number."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli import version_options
from lockgate.cli.common_options import command, params, session, tell, workspace
from lockgate.cli.fallback_options import fallback_days, fallback_terms, no_fallback, tell_degraded
from lockgate.cli.log_options import no_log, spool_folder, tell_waiting
from lockgate.cli.status import too_old
from lockgate.errors import WrongUsage
from lockgate.problem.confidence import checked

if TYPE_CHECKING:
    from lockgate.operations.predict import Done


FOLDER = "lockgate.predict.folder"  # in the context: the output was given as a folder


class Target(click.Path):
    """The path of the output; the context keeps whether the text ends with /, which a path forgets."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if ctx and str(value).endswith("/"):
            ctx.meta[FOLDER] = True
        return super().convert(value, param, ctx)


@command("predict", example="lockgate predict --input test.csv --output forecast.csv")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="Raw rows: .csv, .csv.gz, .parquet, or a folder of parts. - reads CSV from standard input.",
)
@click.option(
    "--output",
    "target",
    type=Target(path_type=Path),
    required=True,
    help="File for the forecasts: .csv, .csv.gz or .parquet; or a folder (a name without suffix, or with / at its end) "
    "for a .parquet file for each part of the input. - writes CSV to standard output.",
)
@version_options.stage
@version_options.version
@version_options.confidence
@version_options.force
@click.option("--skip-bad", is_flag=True, help="Set rows that cannot be forecast aside, instead of refusing the file.")
@click.option(
    "--bad-rows",
    type=click.Path(path_type=Path),
    help="With --skip-bad: CSV file for these rows. Default: beside the output, as in forecast.bad.csv.",
)
@no_log
@no_fallback
@fallback_days
def predict(
    source: Path,
    target: Path,
    stage: str | None,
    version: int | None,
    confidence: float,
    force: bool,
    skip_bad: bool,
    bad_rows: Path | None,
    no_log: bool,
    no_fallback: bool,
    fallback_days: float,
    timeout: float,
) -> None:
    """Forecast each row of a file, or of a folder of parts.

    The output has the same rows in the same order, and further columns: prediction, lower and upper for a number;
    prediction (the probability of the positive class) and class for two classes; class and probability_CLASS of each
    class for more classes; and model_version. A folder has these rows in a .parquet file for each part of the input,
    and _manifest.json with the version, the rows and the digest of each file.
    """
    answering = version_options.chosen(stage, version)
    from lockgate.engine import choice
    from lockgate.operations import predict, predict_parts

    terms = fallback_terms(no_fallback, fallback_days)
    is_folder = _is_folder(source, target)
    bad = _bad_rows_file(target, bad_rows, is_folder) if skip_bad or bad_rows else None
    order = predict.Order(
        params().problem, source, target, force, checked(confidence), terms, bad, spool_folder(no_log)
    )
    here = workspace(timeout, even_stopped=True)
    if is_folder:
        with choice.here(params().engine, timeout) as engine:
            done = predict_parts.predict(here, order, answering, engine)
    else:
        done = predict.predict(here, order, answering)
    if bad:
        session().ids["bad_rows"] = done.set_aside
        tell(f"{done.set_aside} rows set aside in {bad}")
    tell_done(done, target)


def tell_done(done: "Done", target: Path) -> None:
    """Print what was forecast, and all that the reader of the forecasts should know."""
    session().ids["version"] = done.version
    if done.degraded:
        tell_degraded(done.degraded)
    if age := too_old(done.production_since, datetime.now(UTC), params().monitor):
        tell(f"version {done.version} is too old: {age}; train a newer one: dvc repro")
    for remark in done.remarks:
        tell(remark)
    if done.logged:
        tell_waiting(done.logged)
    if str(target) == "-":
        tell(f"{done.rows} rows forecast by version {done.version}")
    else:
        click.echo(f"{done.rows} rows forecast by version {done.version} in {target}")


def _is_folder(source: Path, target: Path) -> bool:
    """Whether the output is a folder: it ends with / or has no suffix. Raises WrongUsage for rows of standard input."""
    is_folder = FOLDER in click.get_current_context().meta or not (target.suffix or str(target) == "-")
    if is_folder and str(source) == "-":
        raise WrongUsage("standard input has no parts", hint="give a file as the output, or read a file or a folder")
    return is_folder


def _bad_rows_file(target: Path, named: Path | None, is_folder: bool) -> Path:
    """The file for bad rows: the one that is named, else one beside the output."""
    if named:
        return named
    if is_folder:
        return target.with_name(f"{target.name}.bad.csv")
    if str(target) == "-":
        raise WrongUsage("--skip-bad needs a file for the bad rows", hint="name it: --bad-rows FILE")
    return target.with_name(f"{target.name.removesuffix('.gz').rpartition('.')[0]}.bad.csv")
