"""Chooses the scale of a target: its log if no target is negative and all vary in proportion to their size.

Targets with zeros are moved by a small share of their mean before the log.
"""

import numpy as np
from numpy.typing import NDArray

from lockgate.features.panel import Panel, lowest_of
from lockgate.features.shared import LOWEST_TARGET, Shared
from lockgate.problem.periods import PeriodName

Floats = NDArray[np.float64]

# Periods at the start of a history that decide between log and level, and periods of a block in them.
FIRST_PERIODS: dict[PeriodName, tuple[int, int]] = {
    "hour": (672, 6),
    "day": (182, 14),
    "week": (52, 8),
    "month": (24, 6),
    "integer": (60, 6),
}
FEWEST_IN_BLOCK = 4
PROPORTIONAL = 0.4  # exponent of the spread over the mean of a block: 1 is proportional, 0 is independent
VARIED = 0.2  # spread of the logs of the blocks' means below which the exponent is not known
MOST_ZEROS = 0.3  # share of zeros above which a target is learned in units of its level
SHIFT = 0.05  # share of the mean
LEVEL_PRIOR = 1.0  # prior weight: as if a key had this many more rows at the level of all keys
LEVEL_PERIODS: dict[PeriodName, int] = {"hour": 672, "day": 364, "week": 52, "month": 12, "integer": 50}


def log_shift(history: Panel, period: PeriodName, shared: Shared) -> float | None:
    """What is added to the target before its log; None if the log is not the scale.

    A negative target forbids the log. The start of the history decides the rest, so that every cutoff decides alike.
    """
    lowest = shared.of(LOWEST_TARGET, lambda: lowest_of(history.target))
    if lowest is None or lowest < 0:
        return None
    return shared.of("shift of the log", lambda: _log_shift(history.target, period, positive=lowest > 0))


def _log_shift(target: Floats, period: PeriodName, *, positive: bool) -> float | None:
    periods, block = FIRST_PERIODS[period]
    early = target[:, : max(min(periods, target.shape[1]) // block, 1) * block]
    if not _is_proportional(early, block, unknown=positive):
        return None
    return 0.0 if positive else _shift(early)


def _shift(early: Floats) -> float | None:
    """A share of the mean; None if too many targets are zero."""
    known = early[~np.isnan(early)]
    many = not known.size or np.mean(known == 0) > MOST_ZEROS
    return None if many else max(SHIFT * float(known.mean()), 1e-9)


def _is_proportional(early: Floats, block: int, *, unknown: bool) -> bool:
    """Whether the spread of a block grows with its mean; `unknown` if too few blocks differ."""
    width = early.shape[1] // block * block
    blocks = early[:, :width].reshape(-1, block)
    full = (~np.isnan(blocks)).sum(axis=1) >= FEWEST_IN_BLOCK
    if full.sum() < 3:
        return unknown
    means, spreads = np.nanmean(blocks[full], axis=1), np.nanstd(blocks[full], axis=1)
    varies = (spreads > 0) & (means > 0)
    x, y = np.log(means[varies]), np.log(spreads[varies])
    if len(x) < 3 or x.std() < VARIED:
        return unknown
    return bool(np.polyfit(x, y, 1)[0] > PROPORTIONAL)


def levels(history: Panel, cutoff: int, period: PeriodName, shared: Shared) -> Floats:
    """The mean absolute target of each key over the last periods up to a cutoff, (keys,); above 0."""
    first = max(history.first, cutoff + 1 - LEVEL_PERIODS[period])
    size = np.abs(history.between(first, cutoff).target)
    known = ~np.isnan(size)
    total, rows = np.where(known, size, 0.0).sum(axis=1), known.sum(axis=1)
    overall = shared.of(f"level at {cutoff}", lambda: float(total.sum() / rows.sum()) if rows.any() else 1.0)
    found = (total + LEVEL_PRIOR * overall) / (rows + LEVEL_PRIOR)
    return np.asarray(np.maximum(found, max(overall * 1e-6, 1e-12)))
