"""The regressors of the linear model: level, trend, seasons, known covariates."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import Categories, Codes, KnownInputs, covariate_columns
from lockgate.features.panel import Panel
from lockgate.features.panel_recipe import holidays
from lockgate.features.panel_recipe.period_calendar import seasons
from lockgate.problem.columns import Category, Column, Decimal, Flag, Whole
from lockgate.problem.description import Problem
from lockgate.problem.periods import Period, PeriodName

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_CATEGORIES = 24  # a covariate with more categories has no regressors
YEAR: dict[PeriodName, float] = {"hour": 8766.0, "day": 365.25, "week": 52.18, "month": 12.0, "integer": 100.0}
# sources of regressors
LEVEL, TREND, CALENDAR, HOLIDAYS = "level", "trend", "calendar", "holidays"


class Kind(StrEnum):
    """The kind of a regressor: each has penalties of its own."""

    LEVEL = "level"
    TREND = "trend"
    SHORT = "short season"
    YEAR = "season of the year"
    NUMBER = "number"
    FLAG = "flag"


@dataclass(frozen=True)
class Layout:
    """How rows become regressors. `first` is the period where the trend is 0."""

    period: Period
    first: int
    columns: tuple[Column, ...]
    categories: Categories
    holidays: Ints | None = None  # day numbers

    @classmethod
    def of(cls, problem: Problem, first: int, categories: Categories, holidays: Ints | None = None) -> "Layout":
        """The layout of a problem."""
        return cls(problem.period, first, covariate_columns(problem), categories, holidays)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kind of each regressor, in order."""
        found = [Kind.YEAR if year else Kind.SHORT for year in seasons(self.period, np.zeros(1, np.int64)).of_year]
        found += [Kind.FLAG] * self._holidays(np.zeros(1, np.int64)).shape[1]
        return (Kind.LEVEL, Kind.TREND, *found, *(kind for column in self.columns for kind in self._kinds(column)))

    @property
    def sources(self) -> tuple[str, ...]:
        """What each regressor is made of: a column, or one of these words."""
        season = seasons(self.period, np.zeros(1, np.int64)).values.shape[1]
        holiday = self._holidays(np.zeros(1, np.int64)).shape[1]
        own = (column.name for column in self.columns for _ in self._kinds(column))
        return (LEVEL, TREND, *[CALENDAR] * season, *[HOLIDAYS] * holiday, *own)

    def shared(self, periods: Ints) -> Floats:
        """The regressors that are equal for all keys, (periods, regressors)."""
        trend = (periods - self.first) / YEAR[self.period.name]
        season = seasons(self.period, periods).values
        return np.column_stack([np.ones(len(periods)), trend, season, self._holidays(periods)])

    def own(self, covariates: Mapping[str, Codes]) -> list[Floats]:
        """The regressors of known covariates, each in the shape of the covariates."""
        found: list[Floats] = []
        for column in self.columns:
            found += self._own(column, covariates[column.name])
        return found

    def of_rows(self, rows: KnownInputs) -> Floats:
        """All regressors of rows, (rows, regressors)."""
        periods, place = np.unique(rows.period, return_inverse=True)
        return np.column_stack([self.shared(periods)[place], *self.own(rows.covariates)])

    def of_panel(self, history: Panel) -> Floats:
        """All regressors of a panel, (keys, periods, regressors)."""
        shared = self.shared(np.arange(history.first, history.last + 1))
        own = self.own(history.covariates)
        found = np.empty((*history.target.shape, shared.shape[1] + len(own)))
        found[:, :, : shared.shape[1]] = shared
        for place, values in enumerate(own, start=shared.shape[1]):
            found[:, :, place] = values
        return found

    def _holidays(self, periods: Ints) -> Floats:
        """The regressors of the holidays, (periods, regressors)."""
        if self.holidays is None:
            return np.empty((len(periods), 0))
        return holidays.regressors(self.holidays, self.period, periods)

    def _kinds(self, column: Column) -> list[Kind]:
        if isinstance(column.kind, Category):
            return [Kind.FLAG] * len(self._texts(column))
        if isinstance(column.kind, Whole | Decimal):
            return [Kind.NUMBER, *([Kind.FLAG] if column.missing else [])]
        return [Kind.FLAG] if isinstance(column.kind, Flag) else []

    def _own(self, column: Column, codes: Codes) -> list[Floats]:
        if isinstance(column.kind, Category):
            return [(codes == code).astype(np.float64) for code in self._texts(column)]
        if isinstance(column.kind, Whole | Decimal):
            missing = np.isnan(codes)
            numbers = np.where(missing, 0.0, codes)
            return [numbers, *([missing.astype(np.float64)] if column.missing else [])]
        return [(codes == 1).astype(np.float64)] if isinstance(column.kind, Flag) else []

    def _texts(self, column: Column) -> range:
        """The codes of the categories that have a regressor: all but the first."""
        count = len(self.categories[column.name])
        return range(1, count if count <= MOST_CATEGORIES else 1)
