"""The residual that all keys share in a period: what all of them had beyond their forecasts."""

import numpy as np
from numpy.typing import NDArray

from lockgate.problem import metrics

Floats = NDArray[np.float64]

PRIOR_ROWS = 4  # prior weight: as if this many rows with residual 0 had been seen


def shared_residuals(period: NDArray[np.int64], residuals: Floats) -> Floats:
    """Shared residual of each row's period: the mean residual of the period's rows, shrunk to 0 by PRIOR_ROWS."""
    _, place, rows = np.unique(period, return_inverse=True, return_counts=True)
    return np.asarray((np.bincount(place, metrics.capped(residuals)) / (rows + PRIOR_ROWS))[place])
