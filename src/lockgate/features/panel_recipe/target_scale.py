"""Chooses the scale of a target: its log if all targets are positive and vary in proportion to their size."""

import numpy as np
from numpy.typing import NDArray

from lockgate.features.panel import Panel
from lockgate.problem.periods import PeriodName

Floats = NDArray[np.float64]

# Periods at the start of a history that decide between log and level, and periods of a block in them.
FIRST_PERIODS: dict[PeriodName, tuple[int, int]] = {
    "hour": (672, 24),
    "day": (182, 14),
    "week": (52, 8),
    "month": (24, 6),
    "integer": (60, 6),
}
FEWEST_IN_BLOCK = 4
PROPORTIONAL = 0.4  # exponent of the spread over the mean of a block: 1 is proportional, 0 is independent
VARIED = 0.2  # spread of the logs of the blocks' means below which the exponent is not known
LEVEL_PRIOR = 1.0  # prior weight: as if a key had this many more rows at the level of all keys
LEVEL_PERIODS: dict[PeriodName, int] = {"hour": 672, "day": 364, "week": 52, "month": 12, "integer": 50}


def is_log(history: Panel, period: PeriodName) -> bool:
    """Whether the log is the scale. Needs a positive target everywhere; the start of the history decides the rest."""
    known = history.target[~np.isnan(history.target)]
    if not known.size or known.min() <= 0:
        return False
    periods, block = FIRST_PERIODS[period]
    early = history.target[:, : min(periods, history.target.shape[1]) // block * block]
    blocks = early.reshape(-1, block)
    full = (~np.isnan(blocks)).sum(axis=1) >= FEWEST_IN_BLOCK
    if full.sum() < 3:
        return True
    means, spreads = np.nanmean(blocks[full], axis=1), np.nanstd(blocks[full], axis=1)
    varies = spreads > 0
    x, y = np.log(means[varies]), np.log(spreads[varies])
    if len(x) < 3 or x.std() < VARIED:
        return True
    return bool(np.polyfit(x, y, 1)[0] > PROPORTIONAL)


def levels(history: Panel, cutoff: int, period: PeriodName) -> Floats:
    """The mean absolute target of each key over the last periods up to a cutoff, (keys,); above 0."""
    first = max(history.first, cutoff + 1 - LEVEL_PERIODS[period])
    size = np.abs(history.between(first, cutoff).target)
    known = ~np.isnan(size)
    total, rows = np.where(known, size, 0.0).sum(axis=1), known.sum(axis=1)
    overall = float(total.sum() / rows.sum()) if rows.any() else 1.0
    found = (total + LEVEL_PRIOR * overall) / (rows + LEVEL_PRIOR)
    return np.asarray(np.maximum(found, max(overall * 1e-6, 1e-12)))
