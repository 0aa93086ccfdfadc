"""Columns that an imported model may use: computed from a raw row and its store attributes. No column contains sales.

docs/how-to/register.md documents the columns; those of the files have the files' names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.features import calendar
from lockgate.features.known_inputs import Categories, KnownInputs
from lockgate.features.series import Series
from lockgate.features.store_panel import rossmann
from lockgate.features.store_panel.store_attributes import (
    CATEGORIES,
    LONG_AGO,
    NEVER,
    StoreAttributes,
    promo2_active,
    stores,
)
from lockgate.problem.description import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Values = NDArray[np.float64] | NDArray[np.int64] | NDArray[np.int32] | NDArray[np.int8] | NDArray[np.bool_]


def matrix(names: Sequence[str], rows: KnownInputs, attributes: StoreAttributes) -> Floats:
    """These columns of rows of open stores, (rows, len(names)); the values of a row do not depend on other rows."""
    columns = [np.asarray(COLUMNS[name](rows, attributes), dtype=np.float64) for name in names]
    return np.column_stack(columns)


def _dates(rows: KnownInputs) -> NDArray[np.datetime64]:
    return rows.period.astype("datetime64[D]")


def _year(rows: KnownInputs, _: StoreAttributes) -> Ints:
    return _year_of(rows.period)


def _month(rows: KnownInputs, _: StoreAttributes) -> Ints:
    return _dates(rows).astype("datetime64[M]").astype(np.int64) % 12 + 1


def _day(rows: KnownInputs, _: StoreAttributes) -> Ints:
    return rows.period - _dates(rows).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + 1


def _day_of_year(rows: KnownInputs, _: StoreAttributes) -> Ints:
    return rows.period - _new_year(_year_of(rows.period)) + 1


def _week_of_year(rows: KnownInputs, _: StoreAttributes) -> Ints:
    """The ISO week: the one that holds the row's Thursday, counted in that Thursday's year."""
    thursday = rows.period - calendar.weekdays(rows.period) + 3
    return (thursday - _new_year(_year_of(thursday))) // 7 + 1


def _competition_days(rows: KnownInputs, attributes: StoreAttributes) -> Floats:
    since = attributes.competition_since[rows.key]
    return np.where(since == LONG_AGO, np.nan, rows.period - since)


def _promo2_round(rows: KnownInputs, attributes: StoreAttributes) -> NDArray[np.bool_]:
    return promo2_active(attributes, rows, _month(rows, attributes))


def _year_of(days: Ints) -> Ints:
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def _new_year(years: Ints) -> Ints:
    return (years - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)


COLUMNS: dict[str, Callable[[KnownInputs, StoreAttributes], Values]] = {
    rossmann.STORE: lambda rows, attributes: attributes.store_ids[rows.key],
    rossmann.DAY_OF_WEEK: lambda rows, _: calendar.weekdays(rows.period) + 1,
    "Year": _year,
    "Month": _month,
    "Day": _day,
    "DayOfYear": _day_of_year,
    "WeekOfYear": _week_of_year,
    rossmann.OPEN: lambda rows, _: np.ones(len(rows)),  # closed rows are never passed to a model
    rossmann.PROMO: lambda rows, _: rows.covariates[rossmann.PROMO],
    rossmann.STATE_HOLIDAY: lambda rows, _: rows.covariates[rossmann.STATE_HOLIDAY],
    rossmann.SCHOOL_HOLIDAY: lambda rows, _: rows.covariates[rossmann.SCHOOL_HOLIDAY],
    rossmann.STORE_TYPE: lambda rows, attributes: attributes.kind[rows.key],
    rossmann.ASSORTMENT: lambda rows, attributes: attributes.assortment[rows.key],
    rossmann.COMPETITION_DISTANCE: lambda rows, attributes: attributes.distance[rows.key],
    "CompetitionDays": _competition_days,
    rossmann.PROMO2: lambda rows, attributes: attributes.promo2_since[rows.key] != NEVER,
    "Promo2Round": _promo2_round,
}


@dataclass(frozen=True)
class StoreColumns:
    """The columns of COLUMNS for some stores; all are numbers."""

    problem: Problem
    attributes: StoreAttributes

    @cached_property
    def series(self) -> Series:
        """The stores."""
        return stores(self.attributes)

    @property
    def categories(self) -> Categories:
        """The texts of the only category among the known covariates."""
        return CATEGORIES

    @property
    def numbers(self) -> tuple[str, ...]:
        """All columns."""
        return tuple(COLUMNS)

    @property
    def texts(self) -> tuple[str, ...]:
        """None."""
        return ()

    def column(self, name: str, as_text: bool, rows: KnownInputs) -> Floats:
        """The values of a column; `as_text` has no meaning here."""
        return matrix((name,), rows, self.attributes)[:, 0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The attributes of the stores."""
        return self.attributes.arrays()

    @classmethod
    def of_arrays(cls, problem: Problem, arrays: Mapping[str, NDArray[Any]]) -> "StoreColumns":
        """The columns from the arrays of a bundle."""
        return cls(problem, StoreAttributes.of_arrays(arrays))
