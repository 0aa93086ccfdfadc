"""The history as arrays of stores x days, and which holidays each store observes."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.column_types import category_codes
from lockgate.features import calendar
from lockgate.problem.columns import KEY, OPEN, STATE_HOLIDAY, TARGET, TIME

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Panel:
    """Stores x days. `log_sales` is NaN where there is no target: no row, closed, or open without a sale."""

    first: int  # day number of the first column
    log_sales: Floats
    promo: NDArray[np.int8]
    school: NDArray[np.int8]
    holiday: NDArray[np.int8]  # index in columns.STATE_HOLIDAY.values
    present: Flags  # there is a row

    @property
    def last(self) -> int:
        """Day number of the last column."""
        return self.first + int(self.log_sales.shape[1]) - 1

    def between(self, first: int, last: int) -> "Panel":
        """The columns of the days first..last, both included and both inside."""
        span = slice(first - self.first, last + 1 - self.first)
        return replace(
            self,
            first=first,
            log_sales=self.log_sales[:, span],
            promo=self.promo[:, span],
            school=self.school[:, span],
            holiday=self.holiday[:, span],
            present=self.present[:, span],
        )


def panel(rows: pd.DataFrame, store_ids: NDArray[np.int32]) -> Panel:
    """Lay out rows (as in ingest.Tables.rows) over `store_ids`, sorted, and all days from their first to their last."""
    days = calendar.day_numbers(rows[TIME].to_numpy())
    first, width = int(days.min()), int(days.max() - days.min()) + 1
    cells = np.searchsorted(store_ids, rows[KEY].to_numpy()) * width + (days - first)
    sales = rows[TARGET].to_numpy(dtype=np.float64)
    sold = (rows[OPEN].to_numpy() == 1) & (sales > 0)
    log_sales = np.full(len(store_ids) * width, np.nan)
    log_sales[cells[sold]] = np.log(sales[sold])

    def grid(values: NDArray[np.int8]) -> NDArray[np.int8]:
        filled = np.zeros(len(store_ids) * width, dtype=np.int8)
        filled[cells] = values
        return filled.reshape(-1, width)

    return Panel(
        first=first,
        log_sales=log_sales.reshape(-1, width),
        promo=grid(rows["Promo"].to_numpy(dtype=np.int8)),
        school=grid(rows["SchoolHoliday"].to_numpy(dtype=np.int8)),
        holiday=grid(category_codes(rows["StateHoliday"].to_numpy(dtype=object), STATE_HOLIDAY.values)),
        present=grid(np.ones(len(rows), dtype=np.int8)).astype(bool),
    )


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
    kept = np.tile(calendar.NATIONWIDE, (history.log_sales.shape[0], 1))
    for holiday, occurrences in enumerate(days):
        columns = occurrences[(occurrences >= history.first) & (occurrences <= history.last)] - history.first
        seen = history.present[:, columns].any(axis=1)
        flagged = (history.holiday[:, columns] > 0).any(axis=1)
        kept[:, holiday] = np.where(seen, flagged, kept[:, holiday])
    return kept
