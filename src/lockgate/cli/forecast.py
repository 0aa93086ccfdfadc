"""`forecast`: the next periods of keys, without a file of rows."""

from pathlib import Path

import click

from lockgate.cli import version_options
from lockgate.cli.common_options import (
    as_json,
    command,
    params,
    print_json_rows,
    require_panel,
    workspace,
)
from lockgate.cli.fallback_options import fallback_days, fallback_terms, no_fallback
from lockgate.cli.log_options import no_log, spool_folder
from lockgate.cli.predict import tell_done
from lockgate.errors import WrongUsage
from lockgate.problem.confidence import checked

INSTEAD = "give the rows: lockgate predict --input FILE --output FILE"


@command("forecast", example="lockgate forecast --key shop=7 --periods 14 --known plan.csv")
@click.option(
    "--key", "keys", multiple=True, metavar="KEY=VALUE",
    help="Forecast the keys with this value of a key column. Repeat the option for further values and columns.",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Forecast all keys of the training.")
@click.option("--periods", type=click.IntRange(min=1), metavar="N", help="Number of periods. Default: the horizon.")
@click.option("--from", "first", metavar="TIME", help="First period. Default: the one after the training.")
@click.option(
    "--known",
    type=click.Path(path_type=Path),
    help="File with known covariates of these periods: .csv, .csv.gz or .parquet.",
)
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path),
    default=Path("-"),
    help="File for the forecasts: .csv, .csv.gz or .parquet. Default: CSV on standard output.",
)
@version_options.stage
@version_options.version
@version_options.confidence
@version_options.force
@no_log
@no_fallback
@fallback_days
@as_json
def forecast(
    keys: tuple[str, ...],
    every: bool,
    periods: int | None,
    first: str | None,
    known: Path | None,
    target: Path,
    stage: str | None,
    version: int | None,
    confidence: float,
    force: bool,
    no_log: bool,
    no_fallback: bool,
    fallback_days: float,
    as_json: bool,
    timeout: float,
) -> None:
    """Forecast the next periods of keys.

    The command makes the rows itself: keys and static features are in the version, covariates come from --known and
    from the side tables in data/raw. The output has keys, time and covariates, and the answers of lockgate predict.
    """
    answering = version_options.chosen(stage, version)
    problem = params().problem
    require_panel(problem, "forecast", INSTEAD)
    chosen = _keys(keys, every, problem.keys)
    from lockgate.operations import forecast
    from lockgate.operations.forecast_rows import Future, by_column

    order = forecast.Order(
        problem,
        Future(by_column(chosen), periods, first, known),
        None if as_json else target,
        force,
        checked(confidence),
        fallback_terms(no_fallback, fallback_days),
        spool_folder(no_log),
    )
    here = workspace(timeout, even_stopped=True)
    done, found = forecast.forecast(here, order, answering)
    if as_json:
        degraded = str(done.degraded) if done.degraded else None
        head = {"model": here.model, "version": done.version, "degraded": degraded}
        print_json_rows(head, "forecasts", found.rows())
    tell_done(done, Path("-") if as_json else target)


def _keys(given: tuple[str, ...], every: bool, names: tuple[str, ...]) -> list[tuple[str, str]]:
    if every and given:
        raise WrongUsage("--all and --key exclude each other", hint="name one of them")
    if names and not every and not given:
        raise WrongUsage("no key is named", hint=f"name one: --key {names[0]}=VALUE, or all: --all")
    pairs = [text.partition("=") for text in given]
    if wrong := [text for text, (_, equals, _) in zip(given, pairs, strict=True) if not equals]:
        raise WrongUsage(f"--key is {wrong[0]!r}", hint="write it as KEY=VALUE")
    return [(name, value) for name, _, value in pairs]
