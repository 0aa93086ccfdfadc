"""The distributions of the computed features in training rows: what the boosters of a version have learned from.

The rows of a panel are those of the windows of the last years, each with features as of its cutoff, as in training.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.bundle import distribution
from lockgate.bundle.distribution import Distribution, distribution_of
from lockgate.bundle.groups import Groups
from lockgate.bundle.some_rows import MOST_FORECASTS, some_keys, spread
from lockgate.features.recipe import Table
from lockgate.features.training_rows import rows_after
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.feature_rows import changing, feature_rows, names
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.table import TableForecaster

MOST_KEYS = 300  # of a panel whose windows are computed
MOST_ROWS = 200_000  # of these windows
SEASONS = 2  # the windows go back this many seasons at most, and one at least
POINTS = 128
DIGITS = 6  # significant ones of a feature

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHORT = "the training rows are shorter than two seasons and a horizon"
IMPORTED = "an imported model has no features of its own"


@dataclass(frozen=True)
class Features:
    """The distribution of each feature, and its origin: a column, or words such as "usual values".

    `left_out` are features that change by nature, or are constant.
    """

    compared: tuple[Distribution, ...]
    origins: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Sample:
    """Features of training rows; `key` and `period` number those of each row from 0, None without keys."""

    values: Floats
    key: Ints | None
    period: Ints | None


def restored(found: Mapping[str, Any]) -> Features:
    """The features of their JSON."""
    compared = tuple(distribution.restored(each) for each in found["compared"])
    return Features(compared, tuple(found["origins"]), tuple(found["left_out"]))


def features_of(forecaster: ForecasterProtocol, rows: pd.DataFrame) -> tuple[Features | None, str]:
    """The features of a forecaster in its training rows, or None and why there are none."""
    if isinstance(forecaster, TableForecaster):
        return _features(forecaster, _of_table(forecaster, rows)), ""
    if not isinstance(forecaster, Forecaster):
        return None, IMPORTED
    found = _of_panel(forecaster, rows)
    return (_features(forecaster, found), "") if found else (None, SHORT)


def rounded(values: Any) -> Floats:
    """Features with the DIGITS that are compared: a text of a number then has no more."""
    found = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(found))))
        return np.where((found == 0) | ~np.isfinite(found), found, np.round(found * unit) / unit)


def _features(forecaster: Forecaster | TableForecaster, sample: _Sample) -> Features:
    left, values = changing(forecaster), rounded(sample.values)
    pairs = zip(names(forecaster), forecaster.state.origins, strict=True)
    kept = [
        (place, name, origin)
        for place, (name, origin) in enumerate(pairs)
        if name not in left and not _is_constant(values[:, place])
    ]
    compared = tuple(_distribution(name, values[:, place], sample) for place, name, _ in kept)
    chosen = {name for _, name, _ in kept}
    left_out = tuple(name for name in names(forecaster) if name not in chosen)
    return Features(compared, tuple(origin for *_, origin in kept), left_out)


def _is_constant(values: Floats) -> bool:
    return bool(len(values) == 0 or np.all((values == values[0]) | (np.isnan(values) & np.isnan(values[0]))))


def _distribution(name: str, values: Floats, sample: _Sample) -> Distribution:
    found = distribution_of(name, pd.Series(values), points=POINTS)
    if sample.key is None or sample.period is None:
        return found
    bins = found.bins(pd.Series(values))
    return replace(found, groups=Groups.of(bins, sample.key, sample.period, len(found.counts)))


def _of_table(forecaster: TableForecaster, rows: pd.DataFrame) -> _Sample:
    """Rows of a plain table, or whole keys of a state."""
    problem = forecaster.problem
    if problem.kind == "state":
        chosen = some_keys(problem, rows)
        found = feature_rows(forecaster, chosen)
        key = chosen.groupby(list(problem.keys), sort=True).ngroup().to_numpy()[found.learned]
        return _Sample(_known(found.values, found.learned), _numbered(key), np.zeros(len(key), dtype=np.int64))
    found = feature_rows(forecaster, rows.iloc[spread(len(rows), MOST_FORECASTS)].reset_index(drop=True))
    return _Sample(_known(found.values, found.learned), None, None)


def _known(values: Any, learned: Any) -> Floats:
    return np.asarray(values[learned], dtype=np.float64)


def _of_panel(forecaster: Forecaster, rows: pd.DataFrame) -> _Sample | None:
    """The windows of some keys, each after a cutoff with a season of history; None if they cover no season."""
    horizon, seasons = forecaster.window.horizon, forecaster.problem.period.seasons
    season = seasons[-1] if seasons else horizon
    table = _table(forecaster, rows, SEASONS * season)
    cutoffs = list(range(table.last - horizon, table.first + season - 2, -horizon))
    cutoffs = cutoffs[: -(-SEASONS * season // horizon)]
    if len(cutoffs) * horizon < season:
        return None
    states = forecaster.recipe.fit(table, cutoffs, horizon)
    windows = [rows_after(table, states[cutoff]) for cutoff in sorted(cutoffs)]
    values = np.concatenate([window.matrix.values for window in windows]).astype(np.float64)
    key, period = (np.concatenate([getattr(window, name) for window in windows]) for name in ("key", "period"))
    return _Sample(values, _numbered(key), _numbered(period)) if len(values) else None


def _table(forecaster: Forecaster, rows: pd.DataFrame, periods: int) -> Table:
    """The rows of some keys, all of whose windows of this many periods have at most about MOST_ROWS rows.

    The rows may be those of a sample of the keys.
    """
    series = forecaster.state.series
    place = series.places(rows)
    known = np.unique(place[place >= 0])
    keys = known[spread(len(known), max(1, min(MOST_KEYS, MOST_ROWS // periods)))]
    chosen = rows[np.isin(place, keys)]
    return Table.of(forecaster.problem, chosen, series.take(keys).frame, forecaster.state.categories)


def _numbered(values: Ints) -> Ints:
    return np.asarray(np.unique(values, return_inverse=True)[1], dtype=np.int64)
