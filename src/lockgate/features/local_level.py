"""A store's local level: what it has sold of late beyond its ridge. It lasts: it is still there six weeks later.

A store's sales wander (a competitor, road works, another manager). Years are needed to learn a calendar, and only the
last weeks tell where a store stands; so the ridge learns the calendar, and its level is put right afterwards.
"""

import numpy as np
from numpy.typing import NDArray

from lockgate.features import shared_effects

Floats = NDArray[np.float64]

HALF_LIFE_DAYS = 14.0  # a day that long ago counts half
DAYS = 84  # nothing older counts
PRIOR_DAYS = 2.0  # a level is believed like the mean of its days and so many without any
LARGEST_RESIDUAL = 0.2  # of log sales; a day that missed by more tells no more


def local_level(missed: Floats) -> Floats:
    """Log sales of each store beyond what its ridge expected, from (stores, days) with NaN where nothing was sold.

    What the whole chain did on a day is taken off before; 0 for a store that has not sold of late.
    """
    late = missed[:, -DAYS:]
    sold = ~np.isnan(late)
    own = np.zeros(late.shape)
    own[sold] = late[sold] - shared_effects.daily_residuals(np.nonzero(sold)[1], late[sold])
    weights = sold * 0.5 ** (np.arange(late.shape[1] - 1, -1, -1) / HALF_LIFE_DAYS)
    total = (weights * np.clip(own, -LARGEST_RESIDUAL, LARGEST_RESIDUAL)).sum(axis=1)
    return np.asarray(total / (weights.sum(axis=1) + PRIOR_DAYS))
