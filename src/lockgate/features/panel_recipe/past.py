"""What a recipe keeps of the history up to a cutoff: recent targets, and statistics of them, in the target's scale."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.features.key_range import KeyRange
from lockgate.features.panel import Panel
from lockgate.features.panel_recipe.declaration import STATISTICS, Declaration
from lockgate.features.panel_recipe.linear import Linear
from lockgate.features.panel_recipe.period_calendar import groups
from lockgate.features.panel_recipe.regressors import Layout
from lockgate.problem.columns import Flag
from lockgate.problem.periods import PeriodName

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]

GROUP_PERIODS: dict[PeriodName, int] = {"hour": 1344, "day": 728, "week": 156, "month": 60, "integer": 100}
GROUP_STATISTICS = ("mean", "std")
NEVER = -(2**40)  # period of an event that has not happened


@dataclass(frozen=True)
class Past:
    """The history of each key up to a cutoff; NaN where there is nothing to take a statistic of."""

    recent: Singles  # (keys, memory): the last periods, NaN without a target
    rolling: Singles  # (keys, windows, STATISTICS)
    residuals: Singles  # (keys, windows): mean residual of the linear model
    expanding: Singles  # (keys, STATISTICS)
    groups: Singles  # (keys, parts of the season, values of the first flag, GROUP_STATISTICS)
    events: Ints  # (keys, flags): period of the last event, NEVER without
    opened: Ints  # (keys,): period of the first row, NEVER without
    rows: Ints  # (keys,): rows with a target
    newest: Ints  # (keys,): period of the last row with a target, NEVER without

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Past":
        """The past from its arrays; other arrays are ignored."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def filled(self) -> Singles:
        """The recent targets, each missing one replaced by the newest before it."""
        return forward_filled(self.recent)


def past(history: Panel, scaled: Floats, model: Linear, layout: Layout, given: tuple[Declaration, KeyRange]) -> Past:
    """The past of a history of some keys that ends at the cutoff; `scaled` is its target in scale."""
    declared, keys = given
    memory = declared.memory
    recent = np.full((len(scaled), memory), np.nan, dtype=np.float32)
    kept = scaled[:, -memory:]
    recent[:, memory - kept.shape[1] :] = kept
    late = history.between(max(history.first, history.last + 1 - max((1, *declared.rolling))), history.last)
    residuals = scaled[:, -late.target.shape[1] :] - model.of_panel(layout.of_panel(late))
    known = ~np.isnan(scaled)
    return Past(
        recent=recent,
        rolling=_stacked([_statistics(scaled[:, -window:]) for window in declared.rolling], (len(scaled), 0, 4)),
        residuals=_stacked([_mean(residuals[:, -window:]) for window in declared.rolling], (len(scaled), 0)),
        expanding=_statistics(scaled).astype(np.float32),
        groups=_groups(history, scaled, layout, keys),
        events=_events(history, layout),
        opened=_first(history.present, history.first),
        rows=known.sum(axis=1),
        newest=_last(known, history.first),
    )


def flags(layout: Layout) -> tuple[str, ...]:
    """The known covariates that are flags."""
    return tuple(column.name for column in layout.columns if isinstance(column.kind, Flag))


def forward_filled(values: Singles) -> Singles:
    """Each missing value replaced by the newest before it in its row."""
    place = np.where(np.isnan(values), 0, np.arange(values.shape[1]))
    return np.take_along_axis(values, np.maximum.accumulate(place, axis=1), axis=1)


def _stacked(parts: Iterable[Floats], empty: tuple[int, ...]) -> Singles:
    found = list(parts)
    return np.stack(found, axis=1).astype(np.float32) if found else np.empty(empty, dtype=np.float32)


def _statistics(values: Floats) -> Floats:
    """Mean, standard deviation, minimum and maximum of each row, (keys, STATISTICS)."""
    known = ~np.isnan(values)
    some = known.any(axis=1)
    mean = _mean(values)
    spread = np.sqrt(_mean((values - mean[:, None]) ** 2))
    low = np.where(some, np.where(known, values, np.inf).min(axis=1), np.nan)
    high = np.where(some, np.where(known, values, -np.inf).max(axis=1), np.nan)
    by_name = {"mean": mean, "std": spread, "min": low, "max": high}
    return np.column_stack([by_name[name] for name in STATISTICS])


def _mean(values: Floats) -> Floats:
    """Row means that skip NaN; NaN for a row without values."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def _groups(history: Panel, scaled: Floats, layout: Layout, keys: KeyRange) -> Singles:
    """Mean and standard deviation by key, part of the season and first flag, over the last GROUP_PERIODS."""
    periods = np.arange(history.first, history.last + 1)[-GROUP_PERIODS[layout.period.name] :]
    part, count = groups(layout.period, periods)
    late, member = scaled[:, -len(periods) :], (part[:, None] == np.arange(count)).astype(np.float64)
    known, values = ~np.isnan(late), np.nan_to_num(late)
    on = _first_flag(history, layout)[:, -len(periods) :]
    by_flag = [_moments(known & (on == flag), values, member, keys) for flag in (0, 1)]
    return np.stack(by_flag, axis=2).astype(np.float32)


def _first_flag(history: Panel, layout: Layout) -> NDArray[Any]:
    names = flags(layout)
    return history.covariates[names[0]] if names else np.zeros(history.target.shape, dtype=np.int8)


def _moments(known: NDArray[np.bool_], values: Floats, member: Floats, keys: KeyRange) -> Floats:
    """Mean and standard deviation of the known values of each group, (keys, groups, 2)."""
    rows = known @ member
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = keys.times(values * known, member) / rows
        square = keys.times(values**2 * known, member) / rows
    return np.stack([mean, np.sqrt(np.maximum(square - mean**2, 0.0))], axis=-1)


def _events(history: Panel, layout: Layout) -> Ints:
    names = flags(layout)
    if not names:
        return np.empty((len(history.target), 0), dtype=np.int64)
    return np.column_stack([_last(history.present & (history.covariates[name] == 1), history.first) for name in names])


def _first(known: NDArray[np.bool_], first: int) -> Ints:
    return np.where(known.any(axis=1), first + known.argmax(axis=1), NEVER)


def _last(known: NDArray[np.bool_], first: int) -> Ints:
    return np.where(known.any(axis=1), first + known.shape[1] - 1 - known[:, ::-1].argmax(axis=1), NEVER)
