"""The explanation of forecasts of a panel: boosters on top of their offset, and the linear forecast as a sum."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.recipe import GROUP_MEAN, RIDGE, Matrix, Terms
from lockgate.forecaster.ensemble import Forecaster, Member
from lockgate.forecaster.explanation import LIMITS, RULE, Explanation
from lockgate.forecaster.interface import threads_for_rows
from lockgate.models import attribution
from lockgate.models.booster import Contributions
from lockgate.models.panel_task import SMALLEST_RATIO, scaled_forecast

Floats = NDArray[np.float64]

USUAL = "mean of its group"  # the term of an offset that is not the linear forecast
LINEAR = " (linear)"  # after the source of a linear term


@dataclass(frozen=True)
class _Rows:
    """Rows as features, their offsets as sums, and the threads of a booster."""

    matrix: Matrix
    terms: Terms
    threads: int

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the contributions: features, linear terms, the group's mean; then what is limited."""
        return (*self.matrix.names, *(f"{source}{LINEAR}" for source in self.terms.sources), USUAL)


def explain(forecaster: Forecaster, rows: pd.DataFrame) -> Explanation:
    """Why rows have their forecasts. A closed row has a base of 0 and the rule as its only part."""
    forecast, read = forecaster.predict(rows), forecaster.request.read(rows)
    known = read.known.take(np.flatnonzero(read.open))
    state = forecaster.state
    given = _Rows(state.transform(known), state.terms(known), threads_for_rows(len(known)))
    found, limits = _blended(forecaster, given)
    values = np.full(found.values.shape, np.nan)
    values[:, : len(given.matrix.names)] = given.matrix.values
    usual = "usual values"
    return Explanation(
        forecast=forecast,
        base=_spread(read.open, found.base, 0.0),
        contributions=_spread(read.open, found.values, 0.0),
        values=_spread(read.open, values, np.nan),
        names=given.names,
        origins=(*state.origins, *given.terms.sources, usual),
        parts={LIMITS: _spread(read.open, limits, 0.0), RULE: np.where(read.open, 0.0, forecast)},
        scale="log" if state.scale.level is None else "number",
    ).closed()


def _spread(which: NDArray[np.bool_], found: Floats, otherwise: float) -> Floats:
    """Values of some rows in an array of all rows."""
    spread = np.full((len(which), *found.shape[1:]), otherwise)
    spread[which] = found
    return spread


def _blended(forecaster: Forecaster, given: _Rows) -> tuple[Contributions, Floats]:
    """The weighted contributions of all members in units of the target, and what limits add."""
    rows = len(given.terms.base)
    base, values, limits = np.zeros(rows), np.zeros((rows, len(given.names))), np.zeros(rows)
    for name in forecaster.members if rows else ():
        scaled, forecast = _member(forecaster.boosters.get(name), given)
        own, limit = _in_units(given.matrix, scaled, forecast)
        weight = forecaster.weights[name]
        base += weight * own.base
        values += weight * own.values[:, :-1]
        limits += weight * (own.values[:, -1] + limit)
    return Contributions(base, values), limits


def _member(member: Member | None, given: _Rows) -> tuple[Contributions, Floats]:
    """The contributions to a member's forecast in the scale of the recipe, the last one a limit; and this forecast.

    None is the linear member.
    """
    offset = _offset(given, member.offset if member else RIDGE)
    if member is None:
        return offset, given.matrix.offsets[RIDGE]
    raw = member.booster.raw(given.matrix.values, given.threads)
    own = member.booster.contributions(given.matrix.values, given.threads)
    if member.target == "ratio":
        own, limit = _log_of_ratio(own, raw)
    else:
        limit = np.zeros(len(raw))
    values = offset.values.copy()
    values[:, : own.values.shape[1]] += own.values
    values[:, -1] += limit
    scaled = scaled_forecast(raw, given.matrix.offsets[member.offset], member.target)
    return Contributions(offset.base + own.base, values), scaled


def _offset(given: _Rows, name: str) -> Contributions:
    """The offset as a sum, with a place for each feature."""
    terms, features = given.terms, len(given.matrix.names)
    values = np.zeros((len(terms.base), len(given.names) + 1))
    if name == RIDGE:
        values[:, features : features + len(terms.sources)] = terms.values
    elif name == GROUP_MEAN:
        values[:, len(given.names) - 1] = given.matrix.offsets[name] - terms.base
    return Contributions(terms.base, values)


def _log_of_ratio(found: Contributions, raw: Floats) -> tuple[Contributions, Floats]:
    """Contributions to the log of a ratio, and what its lower limit adds."""
    base = np.maximum(found.base, SMALLEST_RATIO)
    limit = np.maximum(raw, SMALLEST_RATIO) - base - found.values.sum(axis=1)
    limit = np.where(raw < SMALLEST_RATIO, limit, found.base - base)
    logs = attribution.through_log(Contributions(base, np.column_stack([found.values, limit])))
    return replace(logs, values=logs.values[:, :-1]), logs.values[:, -1]


def _in_units(matrix: Matrix, scaled: Contributions, forecast: Floats) -> tuple[Contributions, Floats]:
    """Contributions in units of the target, and what the lowest forecast adds."""
    scale = matrix.scale
    limit = scale.target(forecast) - replace(scale, floor=-np.inf).target(forecast)
    if scale.level is None:
        found = attribution.through_exp(scaled)
        return replace(found, base=found.base - scale.shift), limit
    return Contributions(scaled.base * scale.level, scaled.values * scale.level[:, None]), limit
