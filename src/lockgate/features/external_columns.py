"""Columns that a model from elsewhere may take of a panel: all are known before the period, and none has a target."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import UNKNOWN, Categories, KnownInputs, categories_of, covariate_columns
from lockgate.features.panel_recipe import period_calendar
from lockgate.features.series import Series
from lockgate.features.store_panel.external_columns import StoreColumns
from lockgate.features.store_panel.store_attributes import store_attributes
from lockgate.problem.columns import Category, Column, Date, Months, Role
from lockgate.problem.description import Problem

Arrays = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

STORED = "categories "  # before the names of the columns in a bundle
YEAR = "year"  # a column of the calendar that features of an ensemble do not have
SECONDS_OF_DAY = 86_400
STORES = ("store_panel",)  # the features of a panel whose columns are its own


class ExternalColumns(Protocol):
    """The columns of a panel for a model from elsewhere."""

    @property
    def problem(self) -> Problem:
        """The problem of the panel."""

    @property
    def series(self) -> Series:
        """The series that can be forecast."""

    @property
    def categories(self) -> Categories:
        """The texts of each category among the known covariates."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that a model may take as numbers."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that a model may take as texts."""

    def column(self, name: str, as_text: bool, rows: KnownInputs) -> NDArray[Any]:
        """The values of a column: float64 with NaN, or texts with None for a missing one."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The series and what belongs to them, by their names in a bundle."""


@dataclass(frozen=True)
class DescribedColumns:
    """Keys, known covariates, static features and the calendar of a described panel."""

    problem: Problem
    series: Series
    categories: Categories

    @property
    def numbers(self) -> tuple[str, ...]:
        """Numbers, flags, dates as days since 1970-01-01, categories as places, the calendar, and the time.

        The place of a category is that in the description's list; without a list, that among the sorted texts.
        """
        own = tuple(column.name for column in self._columns if not isinstance(column.kind, Months))
        return tuple(dict.fromkeys((*own, *self._calendar, self.problem.time_name)))

    @property
    def texts(self) -> tuple[str, ...]:
        """Categories."""
        return tuple(column.name for column in self._columns if isinstance(column.kind, Category))

    def column(self, name: str, as_text: bool, rows: KnownInputs) -> NDArray[Any]:
        """The values of a column: float64 with NaN, or texts with None for a missing one."""
        if name not in {column.name for column in self._columns}:
            return self._of_time(name, rows.period)
        column = self.problem.column(name)
        if name in self.series.frame:
            return _typed(column, self.series.frame[name], as_text)[rows.key]
        codes = rows.covariates[name]
        if not as_text:
            is_code = not isinstance(column.kind, Date) and codes.dtype.kind == "i"
            return np.where(codes == UNKNOWN, np.nan, codes) if is_code else np.asarray(codes, dtype=np.float64)
        texts = np.array([*self.categories[name], None], dtype=object)
        return np.asarray(texts[codes])

    def _of_time(self, name: str, periods: NDArray[np.int64]) -> Floats:
        """A column of the calendar; else the time itself, as days since 1970-01-01 or as its number."""
        period = self.problem.period
        if name == YEAR and name in self._calendar:
            return period.start(periods).astype("datetime64[Y]").astype(np.float64) + 1970
        if name in self._calendar:
            return np.asarray(period_calendar.COLUMNS[name](period_calendar.moments(period, periods)), dtype=np.float64)
        start = period.start(periods)
        return np.asarray(start if period.is_integer else start.astype(np.int64) / SECONDS_OF_DAY, dtype=np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The series with their static features, and the texts of the categories."""
        texts = {f"{STORED}{name}": np.array(values, dtype=np.str_) for name, values in self.categories.items()}
        return self.series.arrays() | texts

    @property
    def _columns(self) -> tuple[Column, ...]:
        static = self.problem.of_role(Role.KEYS, Role.STATIC_FEATURES)
        held = tuple(column for column in static if column.name in self.series.frame)
        return (*held, *(column for column in covariate_columns(self.problem)))

    @property
    def _calendar(self) -> tuple[str, ...]:
        return () if self.problem.period.is_integer else (*period_calendar.COLUMNS, YEAR)


def _typed(column: Column, values: "pd.Series[Any]", as_text: bool) -> NDArray[Any]:
    if as_text:
        return np.asarray(values.astype(object).where(values.notna(), None))
    if isinstance(column.kind, Category):
        texts = categories_of((column,), values.to_frame())[column.name]
        codes = pd.Index(texts).get_indexer(pd.Index(values)).astype(np.float64)
        return np.where(codes < 0, np.nan, codes)
    if isinstance(column.kind, Date):
        days = values.to_numpy().astype("datetime64[D]")
        return np.where(np.isnat(days), np.nan, days.astype(np.float64))
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def columns_of(problem: Problem, rows: pd.DataFrame, static: pd.DataFrame) -> ExternalColumns:
    """The columns of a panel with these prepared rows and static features."""
    if problem.features == STORES:
        return StoreColumns(problem, store_attributes(static))
    return DescribedColumns(
        problem, Series.of(problem, rows, static), categories_of(problem.of_role(Role.KNOWN_COVARIATES), rows)
    )


def restored(problem: Problem, arrays: Arrays) -> ExternalColumns:
    """The columns from the arrays of a bundle."""
    if problem.features == STORES:
        return StoreColumns.of_arrays(problem, arrays)
    categories = {
        name.removeprefix(STORED): tuple(texts.tolist()) for name, texts in arrays.items() if name.startswith(STORED)
    }
    return DescribedColumns(problem, Series.of_arrays(problem.keys, arrays), categories)
