"""The table of the problem's columns: name, role, type, meaning, and the meaning of a missing value. Pure data.

What reads, refuses or writes columns takes their names and types from this table: files, forecast requests, MLflow's
schema and example, the probe of a bundle, comparisons, and docs/reference/columns.md.
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
    holds the column; "" is the table of rows.
    """

    name: str
    role: Role
    kind: ColumnKind
    meaning: str
    missing: str = ""
    full_history: bool = False
    side_table: str = ""


OPEN = "Open"  # a row with 0 is not learned and not scored; its forecast is 0
MOST_SOLD = 10_000_000  # on one day in one store; the maximum of Kaggle's data is 41,551
METRES = Decimal(0, 10_000_000)
DATES = Date(datetime.date(1990, 1, 1), datetime.date(2100, 12, 31))  # an earlier date is a typing error
STATE_HOLIDAY = Category(("0", "a", "b", "c"))

# In the order of train.csv, store.csv, and the rest of test.csv.
COLUMNS = (
    Column("Store", Role.KEYS, Whole(1, 1_000_000), "number of the store"),
    Column("DayOfWeek", Role.CHECK, Whole(1, 7), "weekday of the date; Monday is 1"),
    Column("Date", Role.TIME, DATES, "day of the sales"),
    Column("Sales", Role.TARGET, Whole(0, MOST_SOLD), "turnover of the day"),
    Column("Customers", Role.PAST_COVARIATES, Whole(0, MOST_SOLD), "customers of the day"),
    Column(OPEN, Role.KNOWN_COVARIATES, Flag(), "whether the store is open", "taken as open"),
    Column("Promo", Role.KNOWN_COVARIATES, Flag(), "whether the store has a promotion"),
    Column("StateHoliday", Role.KNOWN_COVARIATES, STATE_HOLIDAY, "no holiday, public holiday, Easter, Christmas"),
    Column("SchoolHoliday", Role.KNOWN_COVARIATES, Flag(), "whether schools are closed"),
    Column("StoreType", Role.STATIC_FEATURES, Category(("a", "b", "c", "d")), "model of the store"),
    Column("Assortment", Role.STATIC_FEATURES, Category(("a", "b", "c")), "basic, extra, extended"),
    Column("CompetitionDistance", Role.STATIC_FEATURES, METRES, "metres to the nearest competitor", "unknown"),
    Column("CompetitionOpenSinceMonth", Role.STATIC_FEATURES, Whole(1, 12), "month of its opening", "unknown"),
    Column("CompetitionOpenSinceYear", Role.STATIC_FEATURES, Whole(1800, 2100), "year of its opening", "unknown"),
    Column("Promo2", Role.STATIC_FEATURES, Flag(), "whether the store takes part in Promo2, a repeated promotion"),
    Column("Promo2SinceWeek", Role.STATIC_FEATURES, Whole(1, 53), "week in which it joined Promo2", "unknown"),
    Column("Promo2SinceYear", Role.STATIC_FEATURES, Whole(1990, 2100), "year in which it joined Promo2", "unknown"),
    Column("PromoInterval", Role.STATIC_FEATURES, Months(), "months in which a round of Promo2 starts"),
    Column("Id", Role.ROW_ID, Whole(0, 2**62), "number of the row in Kaggle's test.csv"),
)


def of_role(*roles: Role) -> tuple[Column, ...]:
    """The columns with one of these roles, in the order of the table."""
    return tuple(column for column in COLUMNS if column.role in roles)


def names(columns: tuple[Column, ...]) -> list[str]:
    """The names of the columns."""
    return [column.name for column in columns]


(KEY,) = names(of_role(Role.KEYS))
(TIME,) = names(of_role(Role.TIME))
(TARGET,) = names(of_role(Role.TARGET))
(WEEKDAY,) = names(of_role(Role.CHECK))

KNOWN_COVARIATES = of_role(Role.KNOWN_COVARIATES)
STATIC_TABLE = of_role(Role.KEYS, Role.STATIC_FEATURES)
REQUEST = of_role(Role.KEYS, Role.TIME, Role.KNOWN_COVARIATES)
REQUIRED = tuple(column for column in REQUEST if not column.missing)
REQUEST_EXTRAS = of_role(Role.CHECK, Role.ROW_ID)
ROWS = of_role(Role.KEYS, Role.TIME, Role.TARGET, Role.KNOWN_COVARIATES)
HISTORY = of_role(Role.KEYS, Role.TIME, Role.CHECK, Role.TARGET, Role.PAST_COVARIATES, Role.KNOWN_COVARIATES)
