"""Renders a comparison as one self-contained HTML file with plots: no network, no script, every text escaped."""

from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.comparison import charts, tables
from lockgate.comparison.compare import Compared, Comparison
from lockgate.comparison.pairs import Pairs
from lockgate.reports.page import Picture, Sheet, picture, templates
from lockgate.system.output_file import OutFile

LARGEST_CHANGES = 20
TEMPLATES = templates("lockgate.comparison")


@dataclass(frozen=True)
class ForecastSection:
    """The section on the forecasts of both versions."""

    summary: tuple[str, ...]
    figures: tuple[Picture, ...]
    sheets: tuple[Sheet, ...]


@dataclass(frozen=True)
class ImportancesSection:
    """The section on the importances of both versions."""

    figure: Picture
    sheet: Sheet


def write(compared: Compared, target: OutFile) -> None:
    """Write the page, whole or not at all."""
    with target.replacing() as partial:
        partial.write_text(html(compared), encoding="utf-8")


def html(compared: Compared) -> str:
    """The page."""
    comparison = compared.comparison
    first, second = tables.names(comparison)
    return TEMPLATES.get_template("page.html.j2").render(
        title=f"{comparison.model}: {first} and {second}",
        versions=tables.sides(comparison),
        notes=comparison.notes,
        forecasts=_forecasts(comparison, compared.pairs),
        metrics=tables.metrics(comparison),
        more_metrics=tables.more_metrics(comparison),
        importances=_importances(comparison),
        record_diffs=list(tables.record_diffs(comparison)),
    )


def _forecasts(comparison: Comparison, pairs: Pairs | None) -> ForecastSection | None:
    if pairs is None or not (comparison.trial and comparison.trial.agreement):
        return None
    figures = tuple(_figures(pairs, *tables.names(comparison)))
    return ForecastSection(tuple(tables.summary(comparison)), figures, tuple(tables.forecasts(comparison)))


def _figures(pairs: Pairs, first: str, second: str) -> Iterator[Picture]:
    """The plots that the rows are enough for."""
    inside = pairs.where(~pairs.outside)
    if len(inside):
        difference = f"{second} / {first} - 1" if pairs.is_relative else f"{second} - {first}, in probability"
        yield picture(
            "differences",
            charts.differences(inside),
            f"How many rows differ by how much ({difference}); the outermost bars hold the rest.",
        )
        yield picture(
            "scatter",
            charts.scatter(inside, first, second),
            f"Each row's forecast by {first} (across) and by {second} (up); on the dotted line both agree.",
        )
    if pairs.problem.time and pairs.rows[pairs.problem.time_name].nunique() > 1 and pairs.first.ndim == 1:
        what = charts.by_time(pairs.problem)
        yield picture(
            "by-time",
            charts.over_time(pairs, first, second),
            f"The {what}: {first} solid, {second} dashed, {pairs.problem.target} dotted where known.",
        )


def _importances(comparison: Comparison) -> ImportancesSection | None:
    sheet = tables.importances(comparison, LARGEST_CHANGES)
    if not comparison.importances or sheet is None:
        return None
    first, second = tables.names(comparison)
    caption = f"The {charts.MOST_IMPORTANT} features that {first} (upper bar) and {second} (lower bar) lean on most."
    drawn = charts.importances(comparison.importances, first, second)
    return ImportancesSection(picture("importances", drawn, caption), sheet)
