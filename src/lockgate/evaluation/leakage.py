"""Leakage check: no feature depends on sales after its cutoff, and the stored history matches the data up to it.

Features are code: the check replaces sales with noise, day by day, computes the features again and compares.
The history (ridge, group means, level) is data in the bundle: the check computes it again from the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.features import calendar
from lockgate.features.known_inputs import KnownInputs, StoreAttributes, panel_rows
from lockgate.features.panel import Panel, panel
from lockgate.features.store_panel import matrix
from lockgate.features.store_panel.history import HistoryState, history_states
from lockgate.features.store_panel.matrix import FEATURES
from lockgate.features.store_panel.store_ridge import FIRST_STEP_DAYS, STEP_DAYS
from lockgate.features.training_rows import cutoffs
from lockgate.forecaster.ensemble import Forecaster
from lockgate.problem.columns import KEY, TIME

Floats = NDArray[np.float64]

TOLERANCE = 1e-4  # of log sales: far above rounding on another processor, far below the effect of one day of sales
COMPARED_DAYS = 42
SEED = 20
STORES = 40  # a sample of this many stores finds the same leaks as all stores
DAYS_BACK = 7  # each feature of past sales uses at least one of the last seven days
OFFSETS = ("offset ridge", "offset group_mean")  # offsets of the boosters
NAMES = (*FEATURES, *OFFSETS)


@dataclass(frozen=True)
class FeatureLeakage:
    """The sales on which one feature (or offset) depends."""

    feature: str
    youngest: int | None  # days from the cutoff back to the youngest sale that changes it; None: no sale does
    leaks: bool  # sales after the cutoff change it


@dataclass(frozen=True)
class LeakageReport:
    """The result for a forecaster."""

    leaking_features: tuple[str, ...]  # they change with sales after the cutoff
    tested_features: int
    features_using_history: int  # they change with sales up to the cutoff; 0: the check cannot detect a leak
    history_mismatch: tuple[str, ...]  # the bundle's history gives other values than the rows up to the cutoff
    cutoff: str  # a date

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "LeakageReport":
        """The report from plain values, as in JSON or from `dataclasses.asdict`."""
        lists = {name: tuple(values[name]) for name in ("leaking_features", "history_mismatch")}
        return cls(**dict(values) | lists)


def check(forecaster: Forecaster, rows: pd.DataFrame) -> LeakageReport | None:
    """Check a forecaster's features and stored history with `rows`, which may include days after its cutoff.

    Returns None if the rows do not reach its cutoff, or if too few days are before it.
    """
    history = _history(forecaster, rows)
    if history is None:
        return None
    perturbed = _Perturbation.of(history, forecaster.attributes, forecaster.horizon_days, SEED)
    later = perturbed.changed(perturbed.cutoff + 1, perturbed.history.last)
    earlier = perturbed.changed(perturbed.history.first, perturbed.cutoff)
    return LeakageReport(
        tuple(name for name, changes in zip(NAMES, later, strict=True) if changes),
        len(NAMES),
        int(earlier.sum()),
        _history_mismatch(forecaster, history),
        str(forecaster.origin),
    )


def by_feature(history: Panel, attributes: StoreAttributes, horizon: int, seed: int) -> tuple[FeatureLeakage, ...]:
    """The result for each feature on the last `horizon` days of a history; the cutoff is the day before them."""
    perturbed = _Perturbation.of(history, attributes, horizon, seed)
    leaks = perturbed.changed(perturbed.cutoff + 1, perturbed.history.last)
    by_day = [perturbed.changed(perturbed.cutoff - back, perturbed.cutoff - back) for back in range(DAYS_BACK)]
    return tuple(
        FeatureLeakage(name, next((back for back, changes in enumerate(by_day) if changes[at]), None), bool(leaks[at]))
        for at, name in enumerate(NAMES)
    )


def _history(forecaster: Forecaster, rows: pd.DataFrame) -> Panel | None:
    """The rows of the forecaster's stores up to its cutoff."""
    ids, origin = forecaster.attributes.store_ids, forecaster.state.origin
    day = calendar.day_numbers(rows[TIME].to_numpy())
    known = rows[np.isin(rows[KEY].to_numpy(), ids) & (day <= origin)]
    if known.empty or day.max() < origin:
        return None
    history = panel(known, ids)
    return history if history.last == origin and origin - history.first > 2 * forecaster.horizon_days else None


def _history_mismatch(forecaster: Forecaster, history: Panel) -> tuple[str, ...]:
    """Features of the days after the cutoff that differ between the stored and the recomputed history."""
    recomputed = history_states(history, _origins(history, forecaster.horizon_days), forecaster.attributes)[-1]
    rows = _days_ahead(forecaster)
    stored, expected = (feature_values(state, forecaster.attributes, rows) for state in (forecaster.state, recomputed))
    differs = ~np.isclose(stored, expected, rtol=0.0, atol=TOLERANCE, equal_nan=True)
    return tuple(name for at, name in enumerate(NAMES) if differs[:, at].any())


def _origins(history: Panel, horizon: int) -> list[int]:
    """The last day, preceded by the cutoffs of a training if they change the folds of the ridge."""
    earlier = [] if horizon % STEP_DAYS == 0 else cutoffs(history, history.last, horizon, FIRST_STEP_DAYS)
    return [*earlier, history.last]


def _days_ahead(forecaster: Forecaster) -> KnownInputs:
    """Every store on each of the next days, with and without promotion, school holidays and a public holiday."""
    stores, days = len(forecaster.attributes.store_ids), min(forecaster.horizon_days, COMPARED_DAYS)
    store, ahead, plan = (grid.ravel() for grid in np.meshgrid(*map(np.arange, (stores, days, 2)), indexing="ij"))
    flag = plan.astype(np.int8)
    return KnownInputs(store, forecaster.state.origin + 1 + ahead, flag, flag, flag)


@dataclass(frozen=True)
class _Perturbation:
    """A history, a cutoff in it, and the features of the days after the cutoff."""

    history: Panel
    cutoff: int
    attributes: StoreAttributes
    features: Floats
    rng: Generator

    @classmethod
    def of(cls, history: Panel, attributes: StoreAttributes, horizon: int, seed: int) -> "_Perturbation":
        some, attributes_of_some = _sample(history, attributes)
        cutoff = some.last - horizon
        features = _features(some, cutoff, attributes_of_some)
        return cls(some, cutoff, attributes_of_some, features, np.random.default_rng(seed))

    def changed(self, first: int, last: int) -> NDArray[np.bool_]:
        """Which features change when noise replaces the sales of the days first..last."""
        noisy = _features(_with_noise(self.history, first, last, self.rng), self.cutoff, self.attributes)
        return ~np.array(
            [np.array_equal(noisy[:, at], self.features[:, at], equal_nan=True) for at in range(len(NAMES))]
        )


def _features(history: Panel, cutoff: int, attributes: StoreAttributes) -> Floats:
    """Features and offsets of all store days after the cutoff, as (rows, NAMES).

    A later cutoff is computed too, as in a training: both share sums, but must not share sales.
    """
    state = history_states(history, [cutoff, history.last], attributes)[0]
    window = history.between(cutoff + 1, history.last)
    return feature_values(state, attributes, panel_rows(window))


def feature_values(state: HistoryState, attributes: StoreAttributes, rows: KnownInputs) -> Floats:
    """Features and offsets of some rows after a state's cutoff, as (rows, NAMES)."""
    view = matrix.forecast_window(state, attributes, int(rows.day.max()) - state.origin)
    found = matrix.matrix(view, rows)
    return np.column_stack([found.values.astype(np.float64), found.ridge, found.group_mean])


def _with_noise(history: Panel, first: int, last: int, rng: Generator) -> Panel:
    """The same history with noise as the sales of the days first..last, open or not."""
    log_sales = history.log_sales.copy()
    days = slice(first - history.first, last + 1 - history.first)
    log_sales[:, days] = rng.normal(20.0, 5.0, size=log_sales[:, days].shape)
    return replace(history, log_sales=log_sales)


def _sample(history: Panel, attributes: StoreAttributes) -> tuple[Panel, StoreAttributes]:
    count = len(attributes.store_ids)
    some = np.unique(np.linspace(0, count - 1, min(STORES, count)).astype(np.int64))
    arrays = {field.name: getattr(history, field.name)[some] for field in fields(Panel) if field.name != "first"}
    columns = {field.name: getattr(attributes, field.name)[some] for field in fields(StoreAttributes)}
    return Panel(first=history.first, **arrays), StoreAttributes(**columns)
