"""`compare`: two versions side by side, in the terminal or as an HTML page."""

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.common_options import (
    PREPARED,
    VERSION,
    as_json,
    command,
    params,
    print_json,
    say,
    session,
    table,
    tell,
    workspace,
)
from lockgate.errors import WrongUsage
from lockgate.system.output_file import OutFile

if TYPE_CHECKING:
    from lockgate.comparison.compare import Comparison
    from lockgate.reports.page import Sheet

LARGEST_CHANGES = 10


@command("compare", example="lockgate compare 1 2 --html compare.html")
@click.argument("first", metavar="V", type=VERSION)
@click.argument("second", metavar="W", type=VERSION)
@click.option(
    "--input", "source", type=click.Path(path_type=Path),
    help="CSV or parquet file with rows that both versions forecast. Default: the holdout in data/prepared.",
)  # fmt: skip
@click.option(
    "--html", "target", type=click.Path(path_type=Path), help="Also write an HTML page with plots to this file."
)
@click.option("--force", is_flag=True, help="Replace the page if the file exists.")
@as_json
def compare(
    first: int, second: int, source: Path | None, target: Path | None, force: bool, as_json: bool, timeout: float
) -> None:
    """Compare two versions.

    The tables show the metrics, params, importances and lineage of versions V and W, and how their forecasts differ.
    """
    if first == second:
        raise WrongUsage(f"both versions are {first}", hint="name two different versions")
    page_file = OutFile(target, force) if target else None
    if page_file:
        page_file.check((".html",), source)
    from lockgate.comparison import compare, page

    problem = params().problem
    given = compare.read_rows(problem, source, PREPARED)
    compared = compare.compare(workspace(timeout), first, second, given, problem)
    session().ids |= {"version": first, "other": second}
    if page_file:
        page.write(compared, page_file)
    _print(compared.comparison, as_json)
    if target:
        tell(f"the page is in {target}")


def _print(comparison: "Comparison", as_json: bool) -> None:
    for note in comparison.notes:
        tell(note)
    if as_json:
        print_json(_finite(asdict(comparison)))
    else:
        _print_tables(comparison)


def _print_tables(comparison: "Comparison") -> None:
    from lockgate.comparison import tables

    importances = tables.importances(comparison, LARGEST_CHANGES)
    sheets = [tables.sides(comparison), tables.metrics(comparison), *tables.record_diffs(comparison)]
    for sheet in sheets + ([importances] if importances else []):
        _print_sheet(sheet)
    summary = list(tables.summary(comparison))
    if summary:
        say("\n".join([*summary, ""]))
    for sheet in tables.forecasts(comparison):
        _print_sheet(sheet)


def _print_sheet(sheet: "Sheet") -> None:
    say(sheet.title)
    table(sheet.heads, sheet.rows)
    click.echo()


def _finite(value: Any) -> Any:
    """JSON has no NaN: such numbers become the texts nan, inf and -inf, as in the database."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
