"""A store's local level: the mean ridge residual of its last weeks.

A store's sales drift (a competitor, road works, another manager), and the drift is still there six weeks later. The
ridge learns the calendar from years of data; the local level then corrects its intercept.
"""

import numpy as np
from numpy.typing import NDArray

from lockgate.features.shared_residual import shared_residuals

Floats = NDArray[np.float64]

HALF_LIFE_DAYS = 14.0  # half-life of a day's weight
DAYS = 84  # older days are not used
PRIOR_DAYS = 2.0  # prior weight: as if this many days with residual 0 had been seen
LARGEST_RESIDUAL = 0.2  # of log sales; larger residuals are clipped


def residuals_of_days(residuals: Floats) -> Floats:
    """The chain-wide residual of each of the last days, (days,), from ridge residuals (stores, days)."""
    late = residuals[:, -DAYS:]
    sold = ~np.isnan(late)
    return shared_residuals(np.nonzero(sold)[1], late[sold], late.shape[1])


def local_level(residuals: Floats, of_days: Floats) -> Floats:
    """The local level of each store from ridge residuals (stores, days), NaN where nothing was sold.

    The chain-wide residual of each day, `of_days`, is subtracted first. 0 for a store without recent sales.
    """
    late = residuals[:, -DAYS:]
    sold = ~np.isnan(late)
    own = np.zeros(late.shape)
    own[sold] = late[sold] - of_days[np.nonzero(sold)[1]]
    weights = sold * 0.5 ** (np.arange(late.shape[1] - 1, -1, -1) / HALF_LIFE_DAYS)
    total = (weights * np.clip(own, -LARGEST_RESIDUAL, LARGEST_RESIDUAL)).sum(axis=1)
    return np.asarray(total / (weights.sum(axis=1) + PRIOR_DAYS))
