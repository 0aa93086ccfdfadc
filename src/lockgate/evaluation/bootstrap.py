"""Bootstrap intervals of a score, or of the difference of two scores, over stores and weeks at once.

The errors of a store are correlated, and so are those of a day and its neighbours. So stores are drawn, and
independently weeks. The weight of a row is the number of draws of its store times that of its week. Source: Owen,
"The pigeonhole bootstrap" (2007). The intervals are slightly too wide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lockgate.problem.metrics import Metric, Sums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEEK = 7
FEWEST_WEEKS = 4  # with fewer weeks, days are drawn
DRAWS = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rows:
    """The rows that count for the metric: the target, the store and the day (a number) of each."""

    actual: Floats
    store: Ints
    day: Ints

    def where(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        return Rows(self.actual[chosen], self.store[chosen], self.day[chosen])


@dataclass(frozen=True)
class Difference:
    """How much worse the score of one forecast is than that of another on the same rows, and its standard error.

    In units of the metric; below 0 is better.
    """

    value: float
    error: float

    def interval(self, comparisons: int = 1) -> tuple[float, float]:
        """The interval of the difference with CONFIDENCE; of `comparisons` intervals, all hold at once (Bonferroni)."""
        reach = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * comparisons)) * self.error
        return self.value - reach, self.value + reach


@dataclass(frozen=True)
class _Draws:
    """How often each draw has each store (draws, stores) and each week (draws, weeks), and both of each row."""

    of_store: Floats
    of_week: Floats
    store: Ints
    week: Ints

    @classmethod
    def of(cls, rows: Rows, block: int, seed: int) -> "_Draws":
        """Weeks, or other blocks of days, are counted from the first day."""
        stores, store = np.unique(rows.store, return_inverse=True)
        week = (rows.day - rows.day.min()) // block
        rng = np.random.default_rng(seed)
        drawn = [
            rng.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float64)
            for count in (len(stores), int(week.max()) + 1)
        ]
        return cls(drawn[0], drawn[1], store, week)

    def totals(self, term: Floats) -> Floats:
        """The weighted sum of a term of the rows in each draw."""
        shape = self.of_store.shape[1], self.of_week.shape[1]
        place = self.store * shape[1] + self.week
        cells = np.bincount(place, term, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
        return np.asarray(((self.of_store @ cells) * self.of_week).sum(axis=1))

    def medians(self, errors: Floats) -> Floats:
        """The weighted median of the errors in each draw; NaN for a draw without rows."""
        order = np.argsort(errors, kind="stable")
        ranked, store, week = errors[order], self.store[order], self.week[order]
        counts = (
            np.cumsum(stores[store] * weeks[week]) for stores, weeks in zip(self.of_store, self.of_week, strict=True)
        )
        return np.array([_median(ranked, count) for count in counts])


def interval(metric: Metric, rows: Rows, forecast: Floats, seed: int) -> tuple[float, float]:
    """The interval that holds the middle CONFIDENCE of the scores of DRAWS draws; NaN as `difference`."""
    if not (rows.day.size and np.isfinite(forecast).all()):
        return float("nan"), float("nan")
    [drawn] = _scores(metric, rows, [forecast], WEEK, seed)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def difference(metric: Metric, rows: Rows, candidate: Floats, reference: Floats, seed: int) -> Difference:
    """How much worse the candidate's score is than that of the reference on the same rows.

    Each draw takes the same rows of both, so the difficulty of the rows cancels out. NaN where a forecast is not
    finite, or no row is left.
    """
    if not (rows.day.size and np.isfinite(candidate).all() and np.isfinite(reference).all()):
        return Difference(float("nan"), float("nan"))
    block = WEEK if np.ptp(rows.day) >= FEWEST_WEEKS * WEEK - 1 else 1
    drawn = _scores(metric, rows, [candidate, reference], block, seed)
    value = metric.worse_by(metric.score(rows.actual, candidate), metric.score(rows.actual, reference))
    return Difference(value, float(np.std(drawn[0] - drawn[1])))


def _scores(metric: Metric, rows: Rows, forecasts: Sequence[Floats], block: int, seed: int) -> list[Floats]:
    """The scores of the same draws for each of some forecasts of the same rows, without draws that have no row."""
    draws, statistic = _Draws.of(rows, block, seed), metric.statistic
    counted = draws.totals(np.ones(len(rows.day)))
    some = counted > 0
    if not isinstance(statistic, Sums):
        return [draws.medians(statistic.errors(rows.actual, forecast))[some] for forecast in forecasts]
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw may have rows of one target value only
        return [
            np.asarray(
                statistic.score(
                    counted[some], *(draws.totals(term)[some] for term in statistic.terms(rows.actual, forecast))
                )
            )
            for forecast in forecasts
        ]


def _median(ranked: Floats, count: Floats) -> float:
    """The median of ranked errors, each as often as the cumulative count says."""
    if not count[-1]:
        return float("nan")
    half = count[-1] / 2
    lower, upper = (min(int(np.searchsorted(count, half, side)), len(ranked) - 1) for side in ("left", "right"))
    return float(ranked[lower] + ranked[upper]) / 2
