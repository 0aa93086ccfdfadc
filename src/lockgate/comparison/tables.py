"""The tables of a comparison, for the terminal and for the page."""

import re
from collections.abc import Iterator, Sequence

from lockgate.comparison.agreement import Agreement, PairedScores, Score, SliceAgreement, Spread
from lockgate.comparison.compare import Comparison
from lockgate.comparison.records import INNER_FOLDS, Side
from lockgate.problem.metrics import METRICS
from lockgate.reports.page import Sheet
from lockgate.reports.record_diff import MetricPair, RecordDiff

DIGEST = re.compile(r"[0-9a-f]{32,64}")
SHOWN_OF_DIGEST = 12
WHOLE_FROM = 100
LABELS = {"mae": "MAE", "bias": "bias", "accuracy": "accuracy"} | {name: each.label for name, each in METRICS.items()}


def names(comparison: Comparison) -> tuple[str, str]:
    """What the two are called."""
    return f"version {comparison.first.version}", f"version {comparison.second.version}"


def sides(comparison: Comparison) -> Sheet:
    """Which versions these are."""
    columns = [_side(comparison.first), _side(comparison.second)]
    labels = ("stage", "verdict", "registered (UTC)", "bundle", "run")
    return Sheet(
        f"two versions of {comparison.model}", ("", *names(comparison)), tuple(zip(labels, *columns, strict=True)), 3
    )


def metrics(comparison: Comparison) -> Sheet:
    """The metrics of both: those of the verdicts and of the training, and each member's score on the inner folds."""
    main = [each for each in comparison.metrics if _is_main_metric(each, comparison.metric)]
    return _metric_pairs(comparison, "metrics", main)


def more_metrics(comparison: Comparison) -> Sheet:
    """The members' other scores, and the scores on each inner fold alone."""
    rest = [each for each in comparison.metrics if not _is_main_metric(each, comparison.metric)]
    return _metric_pairs(comparison, "more scores on the inner folds", rest)


def record_diffs(comparison: Comparison) -> Iterator[Sheet]:
    """The params and the lineage that differ, as far as they are known of both."""
    if comparison.params:
        yield _record_diff(comparison, "params", comparison.params)
    if comparison.lineage:
        yield _record_diff(comparison, "lineage entries", comparison.lineage)


def importances(comparison: Comparison, most: int) -> Sheet | None:
    """The features whose importance changed most, by member; None if they are not known of both."""
    if not comparison.importances:
        return None
    rows = tuple(
        (shown(each.feature), shown(each.member), f"{each.first:.2%}", f"{each.second:.2%}", _points(each.change))
        for each in comparison.importances[:most]
    )
    title = (
        f"importances (share of the member's gain): the {len(rows)} largest of {len(comparison.importances)} changes"
    )
    return Sheet(title, ("feature", "member", *names(comparison), "change"), rows, 2)


def forecasts(comparison: Comparison) -> Iterator[Sheet]:
    """How the forecasts of both agree, if rows were forecast."""
    agreement = comparison.trial.agreement if comparison.trial else None
    if agreement is None:
        return
    if agreement.scored:
        yield _scores(comparison, agreement.scored)
    if agreement.spread:
        yield _quantiles(agreement.spread, agreement.is_relative)
        if agreement.slices:
            yield _slices(comparison, agreement)
        yield _farthest(comparison, agreement)


def summary(comparison: Comparison) -> Iterator[str]:
    """What was forecast and how far the two are apart, in a few lines; nothing if no rows were given."""
    trial = comparison.trial
    if trial is None:
        return
    found = trial.agreement
    yield f"both can forecast {found.rows if found else 0:,} of {trial.asked:,} rows of {shown(trial.source)}"
    if found and found.outside:
        yield f"a rule gives the forecast of {found.outside:,} of them, which are in no difference"
    if found and found.spread:
        first, second = names(comparison)
        unit = "%" if found.is_relative else " points"
        more = f"{100 * abs(found.spread.mean):.2f}{unit} {'more' if found.spread.mean >= 0 else 'less'}"
        near = ", ".join(f"{share:.1%} within {100 * limit:.0f}{unit}" for limit, share in found.spread.near.items())
        yield f"in the mean {second} says {more} than {first}"
        yield f"of {found.spread.rows:,} rows {near}"
    if found and found.other_class is not None:
        yield f"the two forecast different classes for {found.other_class:,} of {found.rows:,} rows"


def _side(side: Side) -> tuple[str, ...]:
    verdict = side.verdict and f"{side.verdict.outcome}, {side.verdict.decided_at:%Y-%m-%d %H:%M}"
    registered = f"{side.created_at:%Y-%m-%d %H:%M}"
    return side.stage, verdict or "-", registered, shown(side.bundle_digest), shown(side.run_id)


def _is_main_metric(metric: MetricPair, name: str) -> bool:
    is_score = metric.group == INNER_FOLDS and metric.name.endswith(f" {name}")
    return is_score or metric.group in ("verdict", "training")


def _metric_pairs(comparison: Comparison, title: str, metrics: Sequence[MetricPair]) -> Sheet:
    rows = tuple((each.group, shown(each.name), *_both(each.first, each.second)) for each in metrics)
    return Sheet(title, ("of", "metric", *names(comparison), "change"), rows, 2)


def _both(first: float | None, second: float | None) -> tuple[str, str, str]:
    change = "-" if first is None or second is None else f"{second - first:+.4g}"
    return _number(first), _number(second), change


def _record_diff(comparison: Comparison, what: str, found: RecordDiff) -> Sheet:
    rows = tuple((shown(each.name), shown(each.first), shown(each.second)) for each in found.differ)
    count = len(rows) + found.equal
    title = f"{len(rows)} of {count} {what} differ" if rows else f"all {count} {what} are equal"
    return Sheet(title, ("", *names(comparison)), rows, 3)


def _scores(comparison: Comparison, scored: PairedScores) -> Sheet:
    columns = [_score(score) for score in (scored.first, scored.second)]
    rows = tuple((name, *column.values()) for name, column in zip(names(comparison), columns, strict=True))
    return Sheet(f"scores on {scored.first.rows:,} rows", ("", *columns[0]), rows)


def _score(score: Score) -> dict[str, str]:
    """By label."""
    return {LABELS.get(name, name): _scored_as(name, value) for name, value in score.scores.items()}


def _scored_as(name: str, value: float) -> str:
    if name == "bias":
        return f"{value:+.2%}"
    return _amount(value) if name == "mae" else f"{value:.5g}"


def _quantiles(spread: Spread, is_relative: bool) -> Sheet:
    kind = "relative difference" if is_relative else "difference of probabilities"
    heads = {0.0: "least", 0.5: "median", 1.0: "most"}
    columns = tuple(heads.get(quantile, f"{quantile:.0%}") for quantile in spread.quantiles)
    row = tuple(_percent(value) for value in spread.quantiles.values())
    return Sheet(f"quantiles of the {kind}, {spread.rows:,} rows", columns, (row,), 0)


def _slices(comparison: Comparison, agreement: Agreement) -> Sheet:
    label = METRICS[comparison.metric].label if agreement.scored else "score"
    scores = tuple(f"{label} {side.version}" for side in (comparison.first, comparison.second))
    rows = tuple(
        (
            shown(each.by),
            shown(each.value),
            f"{each.rows:,}",
            _percent(each.mean),
            f"{each.mean_absolute:.1%}",
            *_both_scores(each, comparison.metric),
        )
        for each in agreement.slices
    )
    return Sheet("where they differ", ("by", "value", "rows", "mean", "mean size", *scores), rows, 2)


def _both_scores(part: SliceAgreement, metric: str) -> tuple[str, str]:
    if part.scored is None:
        return "-", "-"
    return f"{part.scored.first.scores[metric]:.4g}", f"{part.scored.second.scores[metric]:.4g}"


def _farthest(comparison: Comparison, agreement: Agreement) -> Sheet:
    rows = tuple(
        (
            *map(shown, each.row.values()),
            _amount(each.first),
            _amount(each.second),
            _percent(each.difference),
            _actual(each.actual),
        )
        for each in agreement.farthest
    )
    named = tuple(agreement.farthest[0].row) if agreement.farthest else ()
    heads = (*map(shown, named), *names(comparison), "difference", "actual")
    return Sheet("the rows that differ most", heads, rows, len(named))


def shown(value: str | None) -> str:
    """A text from outside on one line: digests by their first digits, what cannot be printed as its code."""
    if not value:
        return "-"
    if DIGEST.fullmatch(value):
        return value[:SHOWN_OF_DIGEST]
    return value if value.isprintable() else value.encode("unicode_escape").decode()


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _amount(value: float) -> str:
    """Whole numbers from 100 on, else four digits."""
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:.4g}"


def _actual(value: float | str | None) -> str:
    return _amount(value) if isinstance(value, float) else shown(value)


def _percent(value: float) -> str:
    return f"{value:+.1%}"


def _points(change: float) -> str:
    return f"{100 * change:+.2f} pp"
