"""Which public holidays each store observes, learned from its history."""

import numpy as np
from numpy.typing import NDArray

from lockgate.features import calendar
from lockgate.features.panel import Panel
from lockgate.features.store_panel import rossmann

Flags = NDArray[np.bool_]


def observance(history: Panel) -> Flags:
    """Which holidays each store observes, (stores, calendar.HOLIDAYS).

    A store observes a holiday if one of its rows on that day has a StateHoliday. Without a row on that day, a store
    observes the holiday if it is nationwide.
    """
    years = (
        np.unique(
            np.array([history.first, history.last]).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
        )
        + 1970
    )
    days = calendar.holiday_days(np.arange(years[0], years[-1] + 1))
    kept = np.tile(calendar.NATIONWIDE, (history.target.shape[0], 1))
    for holiday, occurrences in enumerate(days):
        columns = occurrences[(occurrences >= history.first) & (occurrences <= history.last)] - history.first
        seen = history.present[:, columns].any(axis=1)
        flagged = (history.covariates[rossmann.STATE_HOLIDAY][:, columns] > 0).any(axis=1)
        kept[:, holiday] = np.where(seen, flagged, kept[:, holiday])
    return kept
