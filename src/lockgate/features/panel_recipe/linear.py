"""A ridge regression for each key, shrunk towards the coefficients of all keys, at the local level of the key.

It is the linear member, a feature, and the offset that boosters start from. Trend, strength of the shrinkage and speed
of the level are those that forecast the windows before the cutoff best. Normal equations add up over periods, so each
further cutoff costs the periods since the previous one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lockgate.features.key_range import KeyRange
from lockgate.features.panel import Panel
from lockgate.features.panel_recipe.regressors import YEAR, Kind, Layout
from lockgate.features.shared import Shared
from lockgate.problem.periods import PeriodName

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HALF_LIFE_YEARS = 4.0  # half-life of a row's weight
LEVEL_HALF_LIVES: dict[PeriodName, tuple[float, ...]] = {
    "hour": (24.0, 168.0, 1000.0),
    "day": (7.0, 28.0, 120.0),
    "week": (2.0, 8.0, 30.0),
    "month": (1.0, 3.0, 12.0),
    "integer": (0.3, 2.0, 8.0, 30.0),
}
LEVEL_MEMORY = 3.0  # half-lives of the slowest level that are looked back to
LEVEL_PRIOR = 0.1  # prior weight of a level of 0, as a number of periods
WIDEST_RESIDUAL = 4.0  # residuals are clipped to this multiple of their median size
TESTED_WINDOWS = 6  # windows before a cutoff that choose among the candidates
# (penalty of the trend of all keys towards 0, of a key's trend and of its year towards those of all keys)
TRENDS, YEARS = ((1e6, 1e6), (0.3, 100.0), (0.3, 3.0), (0.3, 0.3)), (30.0, 3.0, 0.3)
CANDIDATES = tuple((*trend, year) for trend in TRENDS for year in YEARS)
TOWARDS_ALL = {Kind.LEVEL: 0.02, Kind.SHORT: 2.0, Kind.NUMBER: 10.0, Kind.FLAG: 5.0}
TOWARDS_ZERO = {Kind.LEVEL: 0.0, Kind.SHORT: 0.1, Kind.YEAR: 1.0, Kind.NUMBER: 0.3, Kind.FLAG: 0.3}


@dataclass(frozen=True)
class Linear:
    """Coefficients (keys, regressors) of regressors from which `centre` is subtracted, divided by `spread`."""

    coefficients: Floats
    centre: Floats  # (regressors,)
    spread: Floats

    def predict(self, regressors: Floats, key: Ints) -> Floats:
        """Forecasts of rows; each row is summed by itself, so the other rows of a batch do not change it."""
        return np.asarray(((regressors - self.centre) / self.spread * self.coefficients[key]).sum(axis=1))

    def of_panel(self, regressors: Floats) -> Floats:
        """Forecasts of (keys, periods, regressors)."""
        return np.asarray(np.einsum("ktp,kp->kt", (regressors - self.centre) / self.spread, self.coefficients))


@dataclass(frozen=True)
class Sums:
    """Normal equations of each key; they add up over periods."""

    gram: Floats  # (keys, p, p)
    moment: Floats  # (keys, p)

    def later(self, fade: float, added: "Sums") -> "Sums":
        """These sums, faded, plus those of later periods."""
        return Sums(self.gram * fade + added.gram, self.moment * fade + added.moment)


@dataclass(frozen=True)
class Data:
    """A history (its target in logs, or as it is), its layout, and the level of each key at a cutoff."""

    history: Panel
    layout: Layout
    levels: Callable[[int], Floats]
    horizon: int
    shared: Shared
    keys: KeyRange

    @property
    def half_life(self) -> float:
        """Periods in which the weight of a row halves."""
        return HALF_LIFE_YEARS * YEAR[self.layout.period.name]

    @property
    def level_half_lives(self) -> tuple[float, ...]:
        """The candidate speeds of the local level, in periods."""
        return LEVEL_HALF_LIVES[self.layout.period.name]


def fit(data: Data, cutoffs: Iterable[int]) -> dict[int, Linear]:
    """The linear model at each cutoff, from the periods up to it only, the same whatever other cutoffs there are."""
    wanted = sorted(set(cutoffs))
    tested = {cutoff: _tested(data, cutoff) for cutoff in wanted}
    losses: dict[int, Floats] = {}
    fitted: dict[int, Linear] = {}
    walker = _Walk(data)
    for origin in sorted({*wanted, *(origin for origins in tested.values() for origin in origins)}):
        candidates = _Candidates(data, walker, origin)
        if origin in tested:
            total = sum((losses[before] for before in tested[origin]), start=np.zeros(candidates.count))
            fitted[origin] = candidates.at(int(np.argmin(total)))
        if origin + data.horizon <= wanted[-1]:
            losses[origin] = data.shared.of(f"losses at {origin}", candidates.losses)
    return fitted


def _tested(data: Data, cutoff: int) -> list[int]:
    """The earlier origins whose windows choose the candidate at a cutoff."""
    first = data.history.first + max(2 * data.horizon, 4) - 1
    origins = [cutoff - place * data.horizon for place in range(1, TESTED_WINDOWS + 1)]
    return [origin for origin in origins if origin >= first]


class _Walk:
    """Sums up to rising origins; blocks of the horizon are the same for every origin."""

    def __init__(self, data: Data) -> None:
        self._data, self._last = data, data.history.first - 1
        self._sums: Sums | None = None

    def until(self, origin: int) -> Sums:
        """The sums of all periods up to an origin."""
        block = max(self._data.horizon, 28)
        while self._last + block <= origin:
            self._sums, self._last = self._with(self._last + block), self._last + block
        return self._with(origin)

    def _with(self, last: int) -> Sums:
        if last == self._last and self._sums is not None:
            return self._sums
        added = _sums(self._data, self._last + 1, last)
        fade = 0.5 ** ((last - self._last) / self._data.half_life)
        return added if self._sums is None else self._sums.later(fade, added)


def _sums(data: Data, first: int, last: int) -> Sums:
    part = data.history.between(first, last)
    x, known = data.layout.of_panel(part), ~np.isnan(part.target)
    weights = 0.5 ** (np.arange(last - first, -1, -1) / data.half_life) * known
    weighted = (x * weights[:, :, None]).transpose(0, 2, 1)
    return Sums(weighted @ x, (weighted @ np.nan_to_num(part.target)[:, :, None])[:, :, 0])


@dataclass(frozen=True)
class _Candidates:
    """The models of all candidates, each at each of the local levels; a model is fitted when it is asked for."""

    data: Data
    walker: _Walk
    origin: int

    @property
    def count(self) -> int:
        """Their number."""
        return len(CANDIDATES) * len(self.data.level_half_lives)

    def at(self, place: int) -> Linear:
        """One of the models."""
        candidate, level = divmod(place, len(self.data.level_half_lives))
        if candidate not in self._fitted:
            self._fitted[candidate] = self._at_levels(candidate)
        return self._fitted[candidate][level]

    def losses(self) -> Floats:
        """The mean absolute residual of each model in the window after the origin."""
        return _losses(self.data, [self.at(place) for place in range(self.count)], self.origin)

    @cached_property
    def _fitted(self) -> dict[int, list[Linear]]:
        return {}

    @cached_property
    def _shared(self) -> Shared:
        return self.data.shared.within(f"linear model at {self.origin}")

    @cached_property
    def _kinds(self) -> NDArray[np.str_]:
        return np.array(self.data.layout.kinds)

    @cached_property
    def _sums(self) -> Sums:
        return self.walker.until(self.origin)

    @cached_property
    def _standard(self) -> tuple[Floats, Floats]:
        layout = self.data.layout
        trend_now = (self.origin - layout.first) / YEAR[layout.period.name]
        return self._shared.of("centre and spread", lambda: _standard(self._sums, self._kinds, trend_now))

    @cached_property
    def _scaled(self) -> Sums:
        standard = _standardised(self._sums, self._standard, self.data.keys)
        return Sums(standard.gram, standard.moment / self.data.levels(self.origin)[:, None])

    @cached_property
    def _late(self) -> Panel:
        history = self.data.history
        return history.between(max(history.first, self.origin + 1 - _memory(self.data)), self.origin)

    @cached_property
    def _regressors(self) -> Floats:
        return self.data.layout.of_panel(self._late)

    def _at_levels(self, candidate: int) -> list[Linear]:
        shared = self._shared.within(f"candidate {candidate}")
        model = Linear(_ridge(self._scaled, self._kinds, CANDIDATES[candidate], shared), *self._standard)
        levels = self.data.levels(self.origin)
        residuals = self._late.target / levels[:, None] - model.of_panel(self._regressors)
        size = shared.of("size of residuals", lambda: _size(residuals))
        return [_at_level(model, residuals, (size, half_life)) for half_life in self.data.level_half_lives]


def _memory(data: Data) -> int:
    return int(LEVEL_MEMORY * data.level_half_lives[-1])


def _standard(sums: Sums, kinds: NDArray[np.str_], trend_now: float) -> tuple[Floats, Floats]:
    """Centre and spread of each regressor: numbers have mean 0 and spread 1, the trend is 0 at the cutoff."""
    rows = max(float(sums.gram[:, 0, 0].sum()), 1e-9)
    means = sums.gram[:, 0, :].sum(axis=0) / rows
    variances = np.einsum("kpp->p", sums.gram) / rows - means**2
    numbers = kinds == Kind.NUMBER
    centre = np.where(numbers, means, np.where(kinds == Kind.TREND, trend_now, 0.0))
    varies = numbers & (variances > 1e-9 * np.maximum(means**2, 1e-9))
    return centre, np.where(varies, np.sqrt(np.maximum(variances, 1e-18)), 1.0)


def _standardised(sums: Sums, standard: tuple[Floats, Floats], keys: KeyRange) -> Sums:
    """The sums of regressors from which the centre is subtracted, divided by the spread."""
    centre, spread = standard
    change = np.diag(1.0 / spread)
    change[0] -= centre / spread
    return Sums(change.T @ sums.gram @ change, keys.times(sums.moment, change))


def _ridge(sums: Sums, kinds: NDArray[np.str_], penalties: tuple[float, float, float], shared: Shared) -> Floats:
    """The coefficients of each key, shrunk towards those of all keys."""
    all_trend, own_trend, own_year = penalties
    towards_zero = np.array([(TOWARDS_ZERO | {Kind.TREND: all_trend})[Kind(kind)] for kind in kinds])
    towards_all = np.array([(TOWARDS_ALL | {Kind.TREND: own_trend, Kind.YEAR: own_year})[Kind(kind)] for kind in kinds])
    common = shared.of("coefficients of all keys", lambda: _of_all_keys(sums, towards_zero))
    right = sums.moment + towards_all * common
    return np.asarray(np.linalg.solve(sums.gram + np.diag(towards_all), right[:, :, None])[:, :, 0])


def _of_all_keys(sums: Sums, towards_zero: Floats) -> Floats:
    """The coefficients of all keys: slopes from the deviations from each key's mean, and the mean level."""
    rows = sums.gram[:, 0, 0]
    known = rows > 0
    if not known.any():
        return np.zeros(sums.gram.shape[1])
    gram, moment, rows = sums.gram[known], sums.moment[known], rows[known]
    means, level = gram[:, 0, :] / rows[:, None], moment[:, 0] / rows
    within = (gram - rows[:, None, None] * means[:, :, None] * means[:, None, :]).sum(axis=0)[1:, 1:]
    target = (moment - gram[:, 0, :] * level[:, None]).sum(axis=0)[1:]
    penalty = np.diag(towards_zero[1:] * np.sqrt(known.sum()) + 1e-9)
    slopes = np.linalg.solve(within + penalty, target)
    return np.concatenate([[float(np.mean(level - means[:, 1:] @ slopes))], slopes])


def _size(residuals: Floats) -> float:
    """The median size of residuals."""
    known = ~np.isnan(residuals)
    return float(np.median(np.abs(residuals[known]))) if known.any() else 0.0


def _at_level(model: Linear, residuals: Floats, level: tuple[float, float]) -> Linear:
    """The model with each key's intercept moved by its local level: (median size of residuals, half-life)."""
    known, (size, half_life) = ~np.isnan(residuals), level
    clipped = np.clip(np.where(known, residuals, 0.0), -WIDEST_RESIDUAL * size, WIDEST_RESIDUAL * size)
    weights = known * 0.5 ** (np.arange(residuals.shape[1] - 1, -1, -1) / half_life)
    moved = model.coefficients.copy()
    moved[:, 0] += (weights * clipped).sum(axis=1) / (weights.sum(axis=1) + LEVEL_PRIOR)
    return Linear(moved, model.centre, model.spread)


def _losses(data: Data, candidates: list[Linear], origin: int) -> Floats:
    """The mean absolute residual of each candidate in the window after an origin."""
    window = data.history.between(origin + 1, origin + data.horizon)
    regressors, actual = data.layout.of_panel(window), window.target / data.levels(origin)[:, None]
    known = ~np.isnan(actual)
    if not known.any():
        return np.zeros(len(candidates))
    return np.array([np.abs(actual - model.of_panel(regressors))[known].mean() for model in candidates])
