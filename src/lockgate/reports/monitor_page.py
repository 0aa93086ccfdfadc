"""Renders one round of the monitor as one self-contained HTML file with plots."""

from collections.abc import Iterator, Sequence
from math import isfinite

from lockgate.monitoring import monitored
from lockgate.monitoring.drift import ColumnDrift, Drift
from lockgate.monitoring.monitored import Monitored
from lockgate.monitoring.scores import ClassScore, Score
from lockgate.reports import monitor_plots
from lockgate.reports.page import Picture, Sheet, picture, templates
from lockgate.system.output_file import OutFile

TEMPLATES = templates("lockgate.reports")
FEWEST = 2  # periods of a plot


def write(found: Monitored, target: OutFile) -> None:
    """Write the page, whole or not at all."""
    with target.replacing() as partial:
        partial.write_text(html(found), encoding="utf-8")


def html(found: Monitored) -> str:
    """The page."""
    findings = found.findings
    return TEMPLATES.get_template("monitor.html.j2").render(
        title=f"{found.model}: version {findings.production.version} in Production",
        heading=list(monitored.heading(found))[1:],
        firing=[rule.name for rule in findings.firing],
        advice=found.advice,
        rules=_rules(found),
        counts=list(monitored.counts(found)),
        replay=list(monitored.replay_lines(found.earlier, found.metric)) if found.earlier else [],
        figures=list(_figures(found)),
        sheets=list(_sheets(found)),
        periods=_scores(found, "period", findings.periods),
    )


def _rules(found: Monitored) -> Sheet:
    rows = tuple((rule.name, rule.state.upper(), rule.says) for rule in found.findings.rules)
    return Sheet("alert rules", ("rule", "state", "measured"), rows, 3)


def _figures(found: Monitored) -> Iterator[Picture]:
    """The plots that the rows are enough for."""
    findings, metric = found.findings, found.metric
    scored = [each for each in findings.periods if isfinite(each.score)]
    what = "period" if found.problem.kind == "panel" else "day of the requests"
    if len(scored) >= FEWEST:
        drawn = monitor_plots.scores(scored, metric, findings.limit)
        yield picture("scores", drawn, f"{metric.label} by {what}, all versions, and the limit of the alert (dashed).")
    bounded = [each for each in findings.periods if each.bounded]
    if len(bounded) >= FEWEST:
        drawn = monitor_plots.coverage(bounded)
        yield picture("coverage", drawn, f"Share of truths within their bounds by {what}, and the stated confidence.")
    if findings.calibration:
        drawn = monitor_plots.calibration(findings.calibration)
        yield picture("calibration", drawn, "How often a class came true, by its forecast probability.")
    for name, what, drifts in (
        ("drift", "column", findings.drifts),
        ("features", "feature that the version computes", findings.features),
    ):
        if columns := _newest(drifts):
            text = f"Drift of the newest window against the training rows, and the limit of each {what}."
            yield picture(name, monitor_plots.drift(columns), text)


def _newest(drifts: Sequence[Drift]) -> Sequence[ColumnDrift]:
    """The columns of the newest window with rows."""
    return next((each.columns for each in drifts if any(column.rows for column in each.columns)), ())


def _sheets(found: Monitored) -> Iterator[Sheet]:
    findings = found.findings
    for name, rows in (("version", findings.versions), ("slice", findings.slices)):
        if rows:
            yield _scores(found, name, rows)
    if findings.classes:
        heads = ("class", "rows", "found (recall)", "right (precision)")
        yield Sheet("scores by class", heads, tuple(_class_cells(each) for each in findings.classes))
    of_drift = ("rows", "index", "limit", "p-value", "drifted")
    if columns := _newest(findings.drifts):
        cells = tuple((column.name, *_drift_cells(column)) for column in columns)
        yield Sheet("drift of the newest window", ("column", *of_drift), cells)
    if columns := _newest(findings.features):
        cells = tuple((column.name, column.origin, *_drift_cells(column)) for column in columns)
        yield Sheet("drift of computed features in the newest window", ("feature", "made of", *of_drift), cells, 2)


def _class_cells(score: ClassScore) -> tuple[str, ...]:
    return (score.name, str(score.rows), _share(score.recall), _share(score.precision))


def _drift_cells(column: ColumnDrift) -> tuple[str, ...]:
    drifted = {True: "yes", False: "no", None: "unknown"}[column.drifted]
    p_value = f"{column.p_value:.2g}" if isfinite(column.p_value) else "-"
    limit = f"{column.limit:.3f}" if isfinite(column.limit) else "-"
    return (str(column.rows), f"{column.index:.3f}", limit, p_value, drifted)


def _scores(found: Monitored, name: str, scores: Sequence[Score]) -> Sheet:
    rows = tuple(monitored.score_cells(found, each) for each in scores)
    return Sheet(f"scores by {name}", monitored.score_heads(found, name), rows)


def _share(value: float) -> str:
    return f"{value:.1%}" if isfinite(value) else "-"
