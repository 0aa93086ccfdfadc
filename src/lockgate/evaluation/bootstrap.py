"""Bootstrap intervals of a score, or of the difference of two scores, over keys and blocks of time at once.

The errors of a key are correlated, and so are those of a period and its neighbours. So keys are drawn, and
independently blocks of time. The weight of a row is the number of draws of its key times that of its block. Source:
Owen, "The pigeonhole bootstrap" (2007). The intervals are slightly too wide. Without time, only keys are drawn; in a
plain table each row is a key of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lockgate.problem.metrics import Median, Metric, Ranking

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST_BLOCKS = 4  # with fewer blocks, single periods are drawn
MOST_KEYS = 5000  # more keys are put together at random, so that the draws need little memory
CELLS = 250_000  # weights of rows at a time: more do not fit into the cache of a processor
DRAWS = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rows:
    """The rows that count for the metric: the target, the key and the period (numbers) of each.

    `block` is the length of a block of time in periods. Without time, the period of all rows is the same. `unit` is the
    unit in which the metric counts the errors of each row (models/baselines.units_of); None: as they are.
    """

    actual: Floats
    key: Ints
    period: Ints
    block: int = 1
    unit: Floats | None = None

    def where(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        unit = None if self.unit is None else self.unit[chosen]
        return Rows(self.actual[chosen], self.key[chosen], self.period[chosen], self.block, unit)

    def score(self, metric: Metric, forecast: Floats) -> float:
        """The score of a forecast of the rows."""
        return metric.score_in(self.unit, self.actual, forecast)


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
    """How often each draw has each key (draws, keys) and each block (draws, blocks), and both of each row."""

    of_key: Floats
    of_block: Floats
    key: Ints
    block: Ints

    @classmethod
    def of(cls, rows: Rows, block: int, seed: int) -> "_Draws":
        """Blocks are counted from the first period."""
        keys, key = np.unique(rows.key, return_inverse=True)
        rng, count = np.random.default_rng(seed), min(len(keys), MOST_KEYS)
        place = (rows.period - rows.period.min()) // block
        drawn = [
            rng.multinomial(each, np.full(each, 1 / each), size=DRAWS).astype(np.float64)
            for each in (count, int(place.max()) + 1)
        ]
        together = rng.permutation(len(keys)) % count if len(keys) > count else np.arange(count)
        return cls(drawn[0], drawn[1], together[key], place)

    def totals(self, term: Floats) -> Floats:
        """The weighted sum of a term of the rows in each draw."""
        shape = self.of_key.shape[1], self.of_block.shape[1]
        place = self.key * shape[1] + self.block
        cells = np.bincount(place, term, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)
        return np.asarray(((self.of_key @ cells) * self.of_block).sum(axis=1))

    def medians(self, errors: Floats) -> Floats:
        """The weighted median of the errors in each draw; NaN for a draw without rows."""
        order = np.argsort(errors, kind="stable")
        ranked = errors[order]
        return np.array([_median(ranked, np.cumsum(weights)) for part in self._weights(order) for weights in part])

    def rankings(self, ranking: Ranking, actual: Floats, forecast: Floats) -> Floats:
        """The score of the ranked forecasts in each draw."""
        order = np.argsort(-forecast, kind="stable")
        ranked, positive = forecast[order], actual[order]
        ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])

        def scores(weights: Floats) -> Floats:
            return ranking.score(*(_sums_until(ends, each) for each in (weights * positive, weights)))

        return np.concatenate([scores(part) for part in self._weights(order)])

    def _weights(self, order: NDArray[np.intp]) -> Iterator[Floats]:
        """The weights of the rows in this order, (some draws, rows), for all draws; they are whole numbers."""
        key, block = self.key[order], self.block[order]
        step = max(1, CELLS // max(1, len(order)))
        for start in range(0, DRAWS, step):
            some = slice(start, start + step)
            of_rows = np.take(self.of_key[some].astype(np.float32), key, axis=1)
            if self.of_block.shape[1] > 1:
                of_rows *= np.take(self.of_block[some].astype(np.float32), block, axis=1)
            yield of_rows.astype(np.float64)


def interval(metric: Metric, rows: Rows, forecast: Floats, seed: int) -> tuple[float, float]:
    """The interval that holds the middle CONFIDENCE of the scores of DRAWS draws; NaN as `difference`."""
    if not (rows.period.size and np.isfinite(forecast).all()):
        return float("nan"), float("nan")
    [drawn] = _scores(metric, rows, [forecast], rows.block, seed)
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size < DRAWS / 2:
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def difference(metric: Metric, rows: Rows, candidate: Floats, reference: Floats, seed: int) -> Difference:
    """How much worse the candidate's score is than that of the reference on the same rows.

    Each draw takes the same rows of both, so the difficulty of the rows cancels out. NaN where a forecast is not
    finite, or no row is left.
    """
    if not (rows.period.size and np.isfinite(candidate).all() and np.isfinite(reference).all()):
        return Difference(float("nan"), float("nan"))
    block = rows.block if np.ptp(rows.period) >= FEWEST_BLOCKS * rows.block - 1 else 1
    drawn = _scores(metric, rows, [candidate, reference], block, seed)
    value = metric.worse_by(rows.score(metric, candidate), rows.score(metric, reference))
    with np.errstate(invalid="ignore"):  # the score of a draw may be infinite
        changes = drawn[0] - drawn[1]
    known = changes[np.isfinite(changes)]  # a draw may have rows of one class only
    return Difference(value, float(np.std(known)) if known.size >= DRAWS / 2 else float("nan"))


def _scores(metric: Metric, rows: Rows, forecasts: Sequence[Floats], block: int, seed: int) -> list[Floats]:
    """The scores of the same draws for each of some forecasts of the same rows, without draws that have no row."""
    draws = _Draws.of(rows, block, seed)
    statistic = metric.statistic if rows.unit is None else metric.with_scale(1.0).statistic
    unit: Floats | float = 1.0 if rows.unit is None else rows.unit
    counted = draws.totals(np.ones(len(rows.period)))
    some = counted > 0

    def scores(own: Floats) -> Floats:
        actual, forecast = rows.actual / unit, own / unit
        match statistic:
            case Median(errors):
                return draws.medians(errors(actual, forecast))
            case Ranking():
                return draws.rankings(statistic, actual, forecast)
            case _:
                terms = statistic.terms(actual, forecast)
                return np.asarray(statistic.score(counted, *(draws.totals(term) for term in terms)))

    with np.errstate(divide="ignore", invalid="ignore"):  # a draw may have no row, or rows of one target value only
        return [scores(forecast)[some] for forecast in forecasts]


def _sums_until(ends: NDArray[np.intp], weights: Floats) -> Floats:
    """The sums of whole numbers between the places of some ends, by row; exact, so as if each were added by itself."""
    if len(ends) == weights.shape[1]:
        return weights
    return np.diff(np.take(weights.cumsum(axis=1), ends, axis=1), axis=1, prepend=0.0)


def _median(ranked: Floats, count: Floats) -> float:
    """The median of ranked errors, each as often as the cumulative count says."""
    if not count[-1]:
        return float("nan")
    half = count[-1] / 2
    lower, upper = (min(int(np.searchsorted(count, half, side)), len(ranked) - 1) for side in ("left", "right"))
    return float(ranked[lower] + ranked[upper]) / 2
