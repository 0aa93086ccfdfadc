"""Renders a comparison as one self-contained HTML file with plots."""

from collections.abc import Iterator

import pandas as pd

from lockgate.comparison import charts, tables
from lockgate.comparison.compare import Compared, Comparison
from lockgate.comparison.tables import Sheet
from lockgate.reports import html as reports_html
from lockgate.reports.html import Html
from lockgate.system.output_file import OutFile

LARGEST_CHANGES = 20


def write(compared: Compared, target: OutFile) -> None:
    """Write the page, whole or not at all."""
    with target.replacing() as partial:
        partial.write_text(html(compared), encoding="utf-8")


def html(compared: Compared) -> str:
    """The page."""
    comparison = compared.comparison
    first, second = tables.names(comparison)
    return reports_html.page(f"{comparison.model}: {first} and {second}", _sections(comparison, compared.pairs))


def _sections(comparison: Comparison, pairs: pd.DataFrame | None) -> Iterator[Html]:
    yield _table(tables.sides(comparison))
    yield reports_html.bullets(comparison.notes)
    if pairs is not None and comparison.trial and comparison.trial.agreement:
        yield reports_html.section("How their forecasts differ", _forecasts(comparison, pairs))
    yield reports_html.section("Metrics", _metrics(comparison))
    if comparison.importances:
        yield reports_html.section("Importances", _importances(comparison))
    contrasts = [_contrast(sheet) for sheet in tables.contrasts(comparison)]
    if contrasts:
        yield reports_html.section("Params and lineage", contrasts)


def _forecasts(comparison: Comparison, pairs: pd.DataFrame) -> Iterator[Html]:
    yield reports_html.bullets(list(tables.told(comparison)))
    yield reports_html.beside(_figures(pairs, *tables.names(comparison)))
    yield reports_html.beside(map(_table, tables.trial(comparison)))


def _figures(pairs: pd.DataFrame, first: str, second: str) -> Iterator[Html]:
    """The plots that the rows are enough for."""
    if ((pairs["first"] != 0) | (pairs["second"] != 0)).any():
        yield reports_html.figure(
            "differences",
            charts.differences(pairs),
            f"How many rows differ by how much ({second} / {first} - 1); the outermost bars hold the rest.",
        )
        yield reports_html.figure(
            "scatter",
            charts.scatter(pairs, first, second),
            f"Each row's forecast by {first} (across) and by {second} (up); on the dotted line both agree.",
        )
    if pairs["Date"].nunique() > 1:
        yield reports_html.figure(
            "totals",
            charts.totals(pairs, first, second),
            f"The sum of all forecasts of a day: {first} solid, {second} dashed, sales dotted where known.",
        )


def _metrics(comparison: Comparison) -> Iterator[Html]:
    yield _table(tables.metrics(comparison))
    more = tables.more_metrics(comparison)
    if more.rows:
        yield reports_html.folded(more.title, _table(more))


def _importances(comparison: Comparison) -> Iterator[Html]:
    first, second = tables.names(comparison)
    shifts = comparison.importances or ()
    says = f"The {charts.MOST_IMPORTANT} features that {first} (upper bar) and {second} (lower bar) lean on most."
    drawn = reports_html.figure("importances", charts.importances(shifts, first, second), says)
    sheet = tables.importances(comparison, LARGEST_CHANGES)
    yield reports_html.beside([drawn, *([_table(sheet)] if sheet else [])])


def _contrast(sheet: Sheet) -> Html:
    return _table(sheet) if sheet.rows else reports_html.bullets([sheet.title])


def _table(sheet: Sheet) -> Html:
    return reports_html.table(sheet.title, sheet.heads, sheet.rows, sheet.words)
