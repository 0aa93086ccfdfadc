"""Statistics of how the forecasts of two versions differ: overall, by slice, and the rows that differ most.

Which of the two is better, and how surely, is tested by `evaluation.paired_test`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.comparison.pairs import Pairs
from lockgate.evaluation.slices import Slice
from lockgate.problem.metrics import METRICS, Metric, bias

Floats = NDArray[np.float64]

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
NEAR = (0.01, 0.05, 0.10)
FARTHEST = 10


@dataclass(frozen=True)
class Spread:
    """The differences of some rows: second / first - 1, or second - first for probabilities."""

    rows: int
    mean: float
    mean_absolute: float
    quantiles: Mapping[float, float]
    near: Mapping[float, float]  # the share of rows that differ by no more than this


@dataclass(frozen=True)
class Score:
    """Scores of forecasts, over the rows that count for the metric, by name; the problem's metric is the first."""

    rows: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class PairedScores:
    """The scores of both versions on the same rows."""

    first: Score
    second: Score


@dataclass(frozen=True)
class SliceAgreement(Slice):
    """A slice, and the differences on its rows; `scored` is None where the target is unknown."""

    mean: float
    mean_absolute: float
    scored: PairedScores | None


@dataclass(frozen=True)
class RowDifference:
    """A row by its keys and time (without them, by its number), its two forecasts, their difference, and its target.

    With more than two classes, a forecast is the probability of the class that the first version forecasts.
    """

    row: Mapping[str, str]
    first: float
    second: float
    difference: float
    actual: float | str | None


@dataclass(frozen=True)
class Agreement:
    """How two forecasts differ, over the rows that both versions can forecast.

    `outside` counts the rows that `where` of the problem leaves out, such as those of closed stores: they are in none
    of the differences. `other_class` counts the rows for which the two forecast different classes; None for numbers.
    """

    rows: int
    outside: int
    is_relative: bool
    other_class: int | None
    spread: Spread | None
    slices: tuple[SliceAgreement, ...]
    farthest: tuple[RowDifference, ...]
    scored: PairedScores | None


def agreement(pairs: Pairs, metric: Metric) -> Agreement:
    """The statistics of pairs of forecasts, scored by a metric where the target is known."""
    inside = pairs.where(~pairs.outside)
    return Agreement(
        rows=len(pairs),
        outside=len(pairs) - len(inside),
        is_relative=pairs.is_relative,
        other_class=None if pairs.is_relative else int((pairs.first_class != pairs.second_class).sum()),
        spread=_spread(inside.difference) if len(inside) else None,
        slices=tuple(_slices(inside, metric)),
        farthest=tuple(_farthest(inside)),
        scored=_scored(inside, metric),
    )


def _spread(differences: Floats) -> Spread:
    size = np.abs(differences)
    found = np.quantile(differences, QUANTILES)
    return Spread(
        rows=len(differences),
        mean=float(differences.mean()),
        mean_absolute=float(size.mean()),
        quantiles=dict(zip(QUANTILES, found.tolist(), strict=True)),
        near={limit: float((size <= limit).mean()) for limit in NEAR},
    )


def _slices(pairs: Pairs, metric: Metric) -> Iterator[SliceAgreement]:
    for part, chosen in pairs.parts:
        if chosen.any():
            own, differences = pairs.where(chosen), pairs.difference[chosen]
            mean, size = float(differences.mean()), float(np.abs(differences).mean())
            yield SliceAgreement(part.by, part.value, len(own), mean, size, _scored(own, metric))


def _farthest(pairs: Pairs) -> Iterator[RowDifference]:
    for place in np.argsort(-np.abs(pairs.difference), kind="stable")[:FARTHEST].tolist():
        first, second = pairs.first[place], pairs.second[place]
        if pairs.first.ndim > 1:
            shown = pairs.first_class[place]
            first, second = first[shown], second[shown]
        difference = float(pairs.difference[place])
        yield RowDifference(_row(pairs, place), float(first), float(second), difference, _actual(pairs, place))


def _row(pairs: Pairs, place: int) -> dict[str, str]:
    problem, rows = pairs.problem, pairs.rows
    named = {name: str(rows[name].iloc[place]) for name in problem.keys}  # a whole row would turn 7 into 7.0
    if problem.time:
        number = problem.period.number(rows[problem.time_name].to_numpy()[place : place + 1])[0]
        named[problem.time_name] = problem.period.text(int(number))
    return named or {"row": str(rows.index[place])}


def _actual(pairs: Pairs, place: int) -> float | str | None:
    if np.isnan(pairs.target[place]):
        return None
    return float(pairs.target[place]) if pairs.is_relative else str(pairs.rows[pairs.problem.target].iloc[place])


def _scored(pairs: Pairs, metric: Metric) -> PairedScores | None:
    chosen = np.isfinite(pairs.target)
    chosen[chosen] = metric.scored(pairs.target[chosen])
    if not chosen.any():
        return None
    scored = pairs.where(chosen)
    first, second = (
        Score(len(scored), _scores(scored, forecast, metric)) for forecast in (scored.first, scored.second)
    )
    return PairedScores(first, second)


def _scores(pairs: Pairs, forecast: Floats, metric: Metric) -> dict[str, float]:
    target = pairs.target
    found = {metric.name: metric.score_in(pairs.unit, target, forecast)}
    if pairs.problem.task == "regression":
        return found | {"mae": METRICS["mae"].score(target, forecast), "bias": bias(target, forecast)}
    classes = forecast >= 0.5 if forecast.ndim == 1 else forecast.argmax(axis=1)
    return found | {"accuracy": float((classes == target).mean())}
