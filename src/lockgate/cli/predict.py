"""`predict`: forecasts for the rows of a file, by a version chosen by stage or number."""

from pathlib import Path

import click

from lockgate.cli.common_options import VERSION, command, params, session, tell, workspace
from lockgate.cli.fallback_options import fallback_days, fallback_terms, no_fallback, tell_degraded
from lockgate.errors import WrongUsage
from lockgate.lifecycle.stages import Stage
from lockgate.problem.confidence import DEFAULT, checked

STAGES = [str(Stage.PRODUCTION), str(Stage.STAGING)]  # at most one version is in each


@command("predict", example="lockgate predict --input test.csv --output forecast.csv")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="File with raw rows: .csv, .csv.gz or .parquet. - reads CSV from standard input.",
)
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    help="File for the forecasts: .csv, .csv.gz or .parquet. - writes CSV to standard output.",
)
@click.option("--stage", type=click.Choice(STAGES), help="Use the version in this stage. Default: Production.")
@click.option("--version", type=VERSION, help="Use this version.")
@click.option(
    "--confidence",
    type=float,
    default=DEFAULT,
    show_default=True,
    help="Confidence of the interval from lower to upper.",
)
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@no_fallback
@fallback_days
def predict(
    source: Path,
    target: Path,
    stage: str | None,
    version: int | None,
    confidence: float,
    force: bool,
    no_fallback: bool,
    fallback_days: float,
    timeout: float,
) -> None:
    """Forecast each row of a file.

    The output has the same rows in the same order, and further columns: prediction, lower and upper for a number;
    prediction (the probability of the positive class) and class for two classes; class and probability_CLASS of each
    class for more classes; and model_version.
    """
    if stage and version:
        raise WrongUsage("--stage and --version exclude each other", hint="name one of them")
    from lockgate.operations import predict

    terms = fallback_terms(no_fallback, fallback_days)
    order = predict.Order(params().problem, source, target, force, checked(confidence), terms)
    done = predict.predict(workspace(timeout, even_stopped=True), order, version or Stage(stage or Stage.PRODUCTION))
    session().ids["version"] = done.version
    if done.degraded:
        tell_degraded(done.degraded)
    for remark in done.remarks:
        tell(remark)
    if str(target) == "-":
        tell(f"{done.rows} rows forecast by version {done.version}")
    else:
        click.echo(f"{done.rows} rows forecast by version {done.version} in {target}")
