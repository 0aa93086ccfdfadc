"""`explain`: which features moved the forecasts of rows, and by how much."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli import version_options
from lockgate.cli.common_options import as_json, command, params, print_json_rows, session, tell, workspace
from lockgate.cli.fallback_options import fallback_days, fallback_terms, no_fallback, tell_degraded
from lockgate.errors import WrongUsage
from lockgate.problem.description import Problem

if TYPE_CHECKING:
    from lockgate.operations.explain import Done

SHOWN = 5  # rows in words


@command("explain", example="lockgate explain --input test.csv --key shop=7 --date 2015-08-01")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path),
    help="Raw rows, as for lockgate predict: .csv, .csv.gz, .parquet, or a folder of .parquet files.",
)
@click.option("--request", metavar="ID", help="A logged request instead of a file, by the version that answered it.")
@click.option("--row", "numbers", type=click.IntRange(min=1), multiple=True, metavar="N", help="Only this row, from 1.")
@click.option(
    "--key", "keys", multiple=True, metavar="KEY=VALUE",
    help="Only rows with this value of a key column. Repeat the option for further values and columns.",
)  # fmt: skip
@click.option("--date", "time", metavar="TIME", help="Only rows of this period.")
@version_options.stage
@version_options.version
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="How many effects are named.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the explanation of one row: file.png or file.svg.")
@version_options.force
@no_fallback
@fallback_days
@as_json
def explain(
    source: Path | None,
    request: str | None,
    numbers: tuple[int, ...],
    keys: tuple[str, ...],
    time: str | None,
    stage: str | None,
    version: int | None,
    top: int,
    plot: Path | None,
    force: bool,
    no_fallback: bool,
    fallback_days: float,
    as_json: bool,
    timeout: float,
) -> None:
    """Show which inputs moved the forecasts of rows, and by how much.

    The effects add up to the forecast of lockgate predict: a base, SHAP values of the members in units of the target
    (of classes: as a probability), and the steps after the members. Nothing is logged.
    """
    answering = version_options.chosen(stage, version)
    if (source is None) == (request is None):
        raise WrongUsage("name a file or a request", hint="lockgate explain --input FILE, or --request ID")
    if request and (stage or version):
        raise WrongUsage(
            "a request is explained by the version that answered it", hint="leave --stage and --version out"
        )
    from lockgate.operations import explain
    from lockgate.operations.forecast_rows import by_column
    from lockgate.system.output_file import OutFile

    if plot:
        OutFile(plot, force).check((".png", ".svg"), source)
    problem = params().problem
    chosen = explain.Chosen(numbers, by_column(_pairs(keys)), time)
    order = explain.Order(problem, source, request, chosen, fallback_terms(no_fallback, fallback_days))
    here = workspace(timeout, even_stopped=True)
    done = explain.explain(here, order, answering)
    session().ids["version"] = done.version
    if done.degraded:
        tell_degraded(done.degraded)
    for remark in done.remarks:
        tell(remark)
    if plot:
        _draw(problem, done, plot, force)
    if as_json:
        rows = ({"row": row.number, "inputs": row.inputs, **row.record} for row in done.rows)
        print_json_rows({"model": here.model, "version": done.version}, "rows", rows)
    else:
        _tell(problem, done, top)


def _tell(problem: Problem, done: "Done", top: int) -> None:
    from lockgate.reports import explained_words as words

    for place, row in enumerate(done.rows[:SHOWN]):
        forecast = f"{problem.target}: {words.answer(row.record)}"
        title = words.title(problem, row.inputs)
        click.echo(("\n" if place else "") + f"row {row.number}{f', {title}' if title else ''}: {forecast}")
        for line in words.sentences(problem, row.record, top):
            click.echo(f"  {line}")
    if len(done.rows) > SHOWN:
        tell(f"{len(done.rows) - SHOWN} more rows: choose with --row, --key or --date, or see all with --json")


def _draw(problem: Problem, done: "Done", plot: Path, force: bool) -> None:
    from lockgate.reports import waterfall
    from lockgate.system.output_file import OutFile

    if len(done.rows) > 1:
        raise WrongUsage(f"{len(done.rows)} rows are chosen, and a plot shows one", hint="choose one: --row N")
    row = done.rows[0]
    with OutFile(plot, force).replacing() as partial:
        waterfall.save(problem, row.inputs, row.record, partial, plot.suffix.removeprefix("."))
    tell(f"plot: {plot}")


def _pairs(given: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in given]
    if wrong := [text for text, (_, equals, _) in zip(given, pairs, strict=True) if not equals]:
        raise WrongUsage(f"--key is {wrong[0]!r}", hint="write it as KEY=VALUE")
    return [(name, value) for name, _, value in pairs]
