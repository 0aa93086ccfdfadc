"""Periods of time: each has a whole number, so that a distance of one is the next period."""

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PeriodName = Literal["hour", "day", "week", "month", "integer"]

# numpy's unit of each period, and the periods of a season. A week is counted from 1970-01-05, a Monday.
UNITS: dict[PeriodName, str] = {"hour": "h", "day": "D", "week": "D", "month": "M"}
SEASONS: dict[PeriodName, tuple[int, ...]] = {
    "hour": (24, 168),
    "day": (7, 364),
    "week": (52,),
    "month": (12,),
    "integer": (),
}
BLOCKS: dict[PeriodName, int] = {"hour": 24, "day": 7}  # periods whose errors are alike; other periods stand alone
# The parts of a time in several columns, by period and number of columns. A week is that of ISO's calendar.
TIME_PARTS: dict[PeriodName, dict[int, tuple[str, ...]]] = {
    "hour": {2: ("date", "hour"), 4: ("year", "month", "day", "hour")},
    "day": {3: ("year", "month", "day")},
    "week": {2: ("year", "week")},
    "month": {2: ("year", "month")},
    "integer": {},
}
DAYS_OF_WEEK = 7
FIRST_MONDAY = 4  # day number of 1970-01-05


@dataclass(frozen=True)
class Period:
    """The length of a period. Times are numpy's datetime64 in seconds; those of `integer` are whole numbers."""

    name: PeriodName

    @property
    def is_integer(self) -> bool:
        """Whether time is a running whole number, and not a date."""
        return self.name == "integer"

    @property
    def seasons(self) -> tuple[int, ...]:
        """The lengths of its seasons in periods, the shortest first."""
        return SEASONS[self.name]

    @property
    def block(self) -> int:
        """The periods of a block of time whose errors are alike: a week of days, a day of hours."""
        return BLOCKS.get(self.name, 1)

    def number(self, times: "NDArray[Any]") -> "NDArray[np.int64]":
        """The number of the period of each time."""
        import numpy as np

        if self.is_integer:
            return np.asarray(times).astype(np.int64)
        found = np.asarray(times).astype(f"datetime64[{UNITS[self.name]}]").astype(np.int64)
        return (found - FIRST_MONDAY) // DAYS_OF_WEEK if self.name == "week" else found

    def start(self, numbers: "NDArray[np.int64]") -> "NDArray[Any]":
        """The first second of each period; the numbers themselves for `integer`."""
        import numpy as np

        numbers = np.asarray(numbers, dtype=np.int64)
        if self.is_integer:
            return numbers
        if self.name == "week":
            return (numbers * DAYS_OF_WEEK + FIRST_MONDAY).astype("datetime64[D]").astype("datetime64[s]")
        return numbers.astype(f"datetime64[{UNITS[self.name]}]").astype("datetime64[s]")

    def text(self, number: int) -> str:
        """A period as text: 2015-07-31, 2015-07-31 13:00, 2015-07, or the number."""
        if self.is_integer:
            return str(number)
        import numpy as np

        start: datetime.datetime = self.start(np.array([number]))[0].item()
        return start.strftime({"hour": "%Y-%m-%d %H:00", "month": "%Y-%m"}.get(self.name, "%Y-%m-%d"))

    @property
    def word(self) -> str:
        """The word for one period, such as "day"."""
        return "period" if self.is_integer else self.name

    def plural(self, count: int) -> str:
        """A number of periods in words, such as "42 days"."""
        return f"{count} {self.word}" if count == 1 else f"{count} {self.word}s"
