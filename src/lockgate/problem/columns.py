"""A column of a problem's table: name, role, type, meaning, and the meaning of a missing value. Pure data.

`Problem.table` holds the columns of a problem. Files, forecast requests, MLflow's schema and example, the probe of a
bundle and comparisons take names and types from there.
"""

import datetime
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """The role of a column in the problem."""

    KEYS = "keys"  # the series that a row belongs to
    TIME = "time"  # the period of a row
    TARGET = "target"  # the value to forecast
    KNOWN_COVARIATES = "known_covariates"  # known before the period, so a forecast request has them
    PAST_COVARIATES = "past_covariates"  # known after the period; checked and dropped
    STATIC_FEATURES = "static_features"  # one value for each key, in a table of their own
    CHECK = "check"  # repeats another column and must agree with it; dropped
    ROW_ID = "row_id"  # numbers the rows of a file to forecast; passed on


@dataclass(frozen=True)
class Whole:
    """Whole numbers low..high."""

    low: int
    high: int


@dataclass(frozen=True)
class Decimal:
    """Finite decimal numbers low..high; a text may end with one of the units, such as "23.4 kmpl"."""

    low: float
    high: float
    units: tuple[str, ...] = ()


@dataclass(frozen=True)
class Flag:
    """0 or 1."""


@dataclass(frozen=True)
class Category:
    """One of these texts; the place of a text is its code. Without values, every text is allowed."""

    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Date:
    """Dates first..last, in the form YYYY-MM-DD or in `form`; the time of the history also ends today."""

    first: datetime.date
    last: datetime.date
    form: str = ""  # of strptime


@dataclass(frozen=True)
class Months:
    """Names of months, separated by commas; an empty text has no month."""


ColumnKind = Whole | Decimal | Flag | Category | Date | Months


@dataclass(frozen=True)
class Column:
    """A column; `missing` is the meaning of a missing value, which is refused if it has none.

    With `full_history`, a missing value is refused in the history, too. `side_table` is the file of a side table that
    holds the column; "" is the table of rows. With `drop_rows`, rows of the history whose value is missing, without a
    meaning, or out of range are left out.
    """

    name: str
    role: Role
    kind: ColumnKind
    meaning: str
    missing: str = ""
    full_history: bool = False
    side_table: str = ""
    drop_rows: bool = False


def names(columns: tuple[Column, ...]) -> list[str]:
    """The names of the columns."""
    return [column.name for column in columns]
