"""The residual that all keys share in a period: what all of them had beyond their forecasts."""

import numpy as np
from numpy.typing import NDArray

from lockgate.problem import metrics

Floats = NDArray[np.float64]

PRIOR_ROWS = 4  # prior weight: as if this many rows with residual 0 had been seen


def shared_residuals(place: NDArray[np.int64], residuals: Floats, periods: int) -> Floats:
    """Shared residual of each period, (periods,): the mean residual of its rows, shrunk to 0 by PRIOR_ROWS.

    `place` is the period of each row, counted from 0.
    """
    rows = np.bincount(place, minlength=periods)
    total = np.bincount(place, metrics.capped(residuals), minlength=periods)
    return np.asarray(total / (rows + PRIOR_ROWS))
