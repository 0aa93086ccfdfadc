"""The store table as arrays, and whether a round of Promo2 is active."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.column_types import MONTHS, promo_months
from lockgate.features import calendar
from lockgate.features.known_inputs import KnownInputs
from lockgate.features.series import Series
from lockgate.features.store_panel import rossmann

CATEGORIES = {rossmann.STATE_HOLIDAY: ("0", "a", "b", "c")}  # no holiday, public holiday, Easter, Christmas
LONG_AGO = -100_000  # day number for "since ever"
NEVER = 100_000


@dataclass(frozen=True)
class StoreAttributes:
    """The store table as arrays, one entry a store, sorted by store id."""

    store_ids: NDArray[np.int32]
    kind: NDArray[np.int8]  # type of the store as a code, 0 is the first letter
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


def store_attributes(stores: pd.DataFrame) -> StoreAttributes:
    """Encode a table of stores, with the columns of Rossmann's store.csv."""
    table = stores.sort_values(rossmann.STORE)
    with_promo2 = table[rossmann.PROMO2].to_numpy() == 1
    return StoreAttributes(
        store_ids=table[rossmann.STORE].to_numpy(dtype=np.int32),
        kind=_letter_codes(table[rossmann.STORE_TYPE]),
        assortment=_letter_codes(table[rossmann.ASSORTMENT]),
        distance=table[rossmann.COMPETITION_DISTANCE].to_numpy(dtype=np.float64),
        competition_since=_competition_since(table),
        promo2_since=np.where(with_promo2, _promo2_since(table), NEVER),
        promo2_months=np.array([_month_flags(interval) for interval in table[rossmann.PROMO_INTERVAL]], dtype=np.int8),
    )


def promo2_active(attributes: StoreAttributes, rows: KnownInputs, month: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a Promo2 round of the row's store started in the row's month."""
    starts = attributes.promo2_months[rows.key, month - 1] == 1
    return np.asarray(starts & (rows.period >= attributes.promo2_since[rows.key]))


def _letter_codes(letters: "pd.Series[str]") -> NDArray[np.int8]:
    return np.array([ord(letter) - ord("a") for letter in letters], dtype=np.int8)


def _competition_since(table: pd.DataFrame) -> NDArray[np.int64]:
    years, months = table[rossmann.COMPETITION_YEAR].to_numpy(), table[rossmann.COMPETITION_MONTH].to_numpy()
    unknown = np.isnan(years) | np.isnan(months)
    index = np.where(unknown, 0, (years - 1970) * 12 + months - 1).astype(np.int64)
    return np.where(unknown, LONG_AGO, calendar.day_numbers(index.astype("datetime64[M]")))


def _promo2_since(table: pd.DataFrame) -> NDArray[np.int64]:
    years, weeks = table[rossmann.PROMO2_YEAR].to_numpy(), table[rossmann.PROMO2_WEEK].to_numpy()
    unknown = np.isnan(years) | np.isnan(weeks)
    january_1 = calendar.day_numbers(np.where(unknown, 0, years - 1970).astype(np.int64).astype("datetime64[Y]"))
    return np.where(unknown, LONG_AGO, january_1 + 7 * np.where(unknown, 0, weeks - 1).astype(np.int64))


def _month_flags(interval: str) -> list[int]:
    starts = promo_months(interval)
    return [int(month in starts) for month in range(1, 13)]


def stores(attributes: StoreAttributes) -> Series:
    """The series of these stores."""
    return Series((rossmann.STORE,), store_table(attributes))


def store_table(attributes: StoreAttributes) -> pd.DataFrame:
    """The store table of these attributes; `store_attributes` makes equal attributes from it."""
    opened = attributes.competition_since.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    joined = attributes.promo2_since.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    weeks = (attributes.promo2_since - calendar.day_numbers(joined.astype("datetime64[Y]"))) // 7 + 1
    with_competition = attributes.competition_since != LONG_AGO
    in_promo2 = attributes.promo2_since != NEVER
    with_date = in_promo2 & (attributes.promo2_since != LONG_AGO)
    return pd.DataFrame(
        {
            rossmann.STORE: attributes.store_ids,
            rossmann.STORE_TYPE: [chr(ord("a") + code) for code in attributes.kind],
            rossmann.ASSORTMENT: [chr(ord("a") + code) for code in attributes.assortment],
            rossmann.COMPETITION_DISTANCE: attributes.distance,
            rossmann.COMPETITION_MONTH: np.where(with_competition, opened % 12 + 1, np.nan),
            rossmann.COMPETITION_YEAR: np.where(with_competition, opened // 12 + 1970, np.nan),
            rossmann.PROMO2: in_promo2.astype(np.int8),
            rossmann.PROMO2_WEEK: np.where(with_date, weeks, np.nan),
            rossmann.PROMO2_YEAR: np.where(with_date, joined + 1970, np.nan),
            rossmann.PROMO_INTERVAL: [_interval(flags) for flags in attributes.promo2_months],
        }
    )


def _interval(flags: NDArray[np.int8]) -> str:
    return ",".join(MONTHS[place] for place in np.flatnonzero(flags))
