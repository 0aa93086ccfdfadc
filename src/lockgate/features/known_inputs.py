"""Inputs known in advance: store attributes, and each row's store, date and plans. Contains no target."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.column_types import promo_months
from lockgate.features import calendar
from lockgate.features.panel import Panel
from lockgate.problem.columns import KEY

LONG_AGO = -100_000  # day number for "since ever"
NEVER = 100_000


@dataclass(frozen=True)
class StoreAttributes:
    """The store table as arrays, one entry a store, sorted by store id."""

    store_ids: NDArray[np.int32]
    kind: NDArray[np.int8]  # StoreType as a code, 0 is the first letter
    assortment: NDArray[np.int8]
    distance: NDArray[np.float64]  # to the competitor in metres, NaN where unknown
    competition_since: NDArray[np.int64]  # day number, LONG_AGO where unknown
    promo2_since: NDArray[np.int64]  # day number, NEVER without Promo2
    promo2_months: NDArray[np.int8]  # (stores, 12): 1 where a Promo2 round starts in that month

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "StoreAttributes":
        """The attributes from their arrays; other arrays are ignored."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All attributes, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, stores: NDArray[np.int64]) -> "StoreAttributes":
        """Some of the stores, by place."""
        return StoreAttributes(**{name: array[stores] for name, array in self.arrays().items()})


@dataclass(frozen=True)
class KnownInputs:
    """The known inputs of rows; one entry a row."""

    store: NDArray[np.int64]  # index in StoreAttributes.store_ids
    day: NDArray[np.int64]  # days since 1970-01-01
    promo: NDArray[np.int8]
    school: NDArray[np.int8]
    holiday: NDArray[np.int8]  # index in columns.STATE_HOLIDAY.values

    @classmethod
    def of(
        cls, store: NDArray[np.int64], day: NDArray[np.int64], covariates: Mapping[str, NDArray[np.int8]]
    ) -> "KnownInputs":
        """The known inputs from the codes of the known covariates, by name of the column."""
        return cls(store, day, covariates["Promo"], covariates["SchoolHoliday"], covariates["StateHoliday"])

    def __len__(self) -> int:
        return len(self.day)

    def take(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> "KnownInputs":
        """Some of the rows, by place or by flag."""
        return KnownInputs(
            self.store[which], self.day[which], self.promo[which], self.school[which], self.holiday[which]
        )


def store_attributes(stores: pd.DataFrame) -> StoreAttributes:
    """Encode a store table (columns as in Kaggle's store.csv)."""
    table = stores.sort_values(KEY)
    with_promo2 = table["Promo2"].to_numpy() == 1
    return StoreAttributes(
        store_ids=table[KEY].to_numpy(dtype=np.int32),
        kind=_letter_codes(table["StoreType"]),
        assortment=_letter_codes(table["Assortment"]),
        distance=table["CompetitionDistance"].to_numpy(dtype=np.float64),
        competition_since=_competition_since(table),
        promo2_since=np.where(with_promo2, _promo2_since(table), NEVER),
        promo2_months=np.array([_month_flags(interval) for interval in table["PromoInterval"]], dtype=np.int8),
    )


def panel_rows(history: Panel) -> KnownInputs:
    """Every store x day of a panel as rows, stores outermost."""
    stores, width = history.promo.shape
    return KnownInputs(
        store=np.repeat(np.arange(stores), width),
        day=np.tile(np.arange(history.first, history.first + width), stores),
        promo=history.promo.ravel(),
        school=history.school.ravel(),
        holiday=history.holiday.ravel(),
    )


def promo2_active(attributes: StoreAttributes, rows: KnownInputs, month: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a Promo2 round of the row's store started in the row's month."""
    starts = attributes.promo2_months[rows.store, month - 1] == 1
    return np.asarray(starts & (rows.day >= attributes.promo2_since[rows.store]))


def _letter_codes(letters: "pd.Series[str]") -> NDArray[np.int8]:
    return np.array([ord(letter) - ord("a") for letter in letters], dtype=np.int8)


def _competition_since(table: pd.DataFrame) -> NDArray[np.int64]:
    years, months = table["CompetitionOpenSinceYear"].to_numpy(), table["CompetitionOpenSinceMonth"].to_numpy()
    unknown = np.isnan(years) | np.isnan(months)
    index = np.where(unknown, 0, (years - 1970) * 12 + months - 1).astype(np.int64)
    return np.where(unknown, LONG_AGO, calendar.day_numbers(index.astype("datetime64[M]")))


def _promo2_since(table: pd.DataFrame) -> NDArray[np.int64]:
    years, weeks = table["Promo2SinceYear"].to_numpy(), table["Promo2SinceWeek"].to_numpy()
    unknown = np.isnan(years) | np.isnan(weeks)
    january_1 = calendar.day_numbers(np.where(unknown, 0, years - 1970).astype(np.int64).astype("datetime64[Y]"))
    return np.where(unknown, LONG_AGO, january_1 + 7 * np.where(unknown, 0, weeks - 1).astype(np.int64))


def _month_flags(interval: str) -> list[int]:
    starts = promo_months(interval)
    return [int(month in starts) for month in range(1, 13)]
