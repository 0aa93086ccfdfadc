"""Keys and periods: which columns name the series of a row, how far its times lie apart, what follows from them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.describe import times
from lockgate.describe.column_guess import ColumnGuess
from lockgate.describe.table import Texts, TextTable
from lockgate.problem.periods import PeriodName

MOST_CANDIDATES = 8
MOST_KEYS = 3
TRIED_TIMES = 40
SECONDS_PER_HOUR = 3600
CALENDAR = ("weekday", "month", "year", "day of the month", "hour", "week of the year", "quarter")


@dataclass(frozen=True)
class Series:
    """The series of a table: the place of each row's key, the time of each row (seconds or numbers), the period."""

    keys: tuple[str, ...]
    codes: NDArray[np.int64]
    times: NDArray[np.float64]
    period: PeriodName | None
    repeated: int  # rows whose key and time another row has
    by_clock: bool  # all of them in an hour that local clocks show twice


def keys_of(table: TextTable, time: Texts, candidates: Sequence[str]) -> tuple[str, ...] | None:
    """The fewest columns with which each time stands once for each key; None if there are none."""
    rows = _rows_of_some_times(time)
    for count in range(MOST_KEYS + 1):
        for names in itertools.combinations(candidates[:MOST_CANDIDATES], count):
            if _once(table, time, names, rows) and _once(table, time, names, slice(None)):
                return names
    return None


def key_candidates(guesses: Sequence[ColumnGuess], excluded: frozenset[str]) -> list[str]:
    """The columns that may name series: codes and whole numbers with few values, those named like a key first."""
    found = [
        guess
        for guess in guesses
        if guess.name not in excluded and guess.type in ("category", "integer") and not guess.missing_rows
        and 1 < len(guess.texts.distinct) <= max(2, len(guess.texts.codes) // 3)
    ]  # fmt: skip
    return [
        guess.name
        for guess in sorted(found, key=lambda guess: guess.type == "integer" and _is_calendar_name(guess.name))
    ]


def series_of(table: TextTable, time: ColumnGuess, keys: tuple[str, ...]) -> Series:
    """The series with these keys."""
    codes, moments = table.joint_codes(keys), time.of_rows
    order = np.lexsort((moments, codes))
    same = codes[order][1:] == codes[order][:-1]
    steps = np.diff(moments[order])[same]
    twice, period = moments[order][1:][same][steps == 0], _period(time, steps[steps > 0])
    by_clock = period == "hour" and bool(len(twice)) and bool(times.clocks_go_back(twice).all())
    return Series(keys, codes, moments, period, len(twice), by_clock)


def calendar_parts(time: ColumnGuess) -> dict[str, NDArray[np.float64]]:
    """What a calendar says of each row's time, by name."""
    import pandas as pd

    if time.type != "date":
        return {}
    days = pd.DatetimeIndex(time.of_rows.astype("datetime64[s]"))
    weeks = days.isocalendar().week.to_numpy(dtype=np.float64)
    values = (days.day_of_week + 1, days.month, days.year, days.day, days.hour, weeks, days.quarter)
    return {name: np.asarray(value, dtype=np.float64) for name, value in zip(CALENDAR, values, strict=True)}


def repeats_calendar(guess: ColumnGuess, parts: dict[str, NDArray[np.float64]]) -> str:
    """The part of the calendar that a column repeats, such as the month; "" for any other column.

    A column repeats a part if there is one value for each value of the part, and the other way round.
    """
    filled = len(guess.filled)
    for name, part in parts.items():
        _, codes = np.unique(part, return_inverse=True)
        if 1 < filled == codes.max() + 1 == len(np.unique(codes * (len(guess.texts.distinct) + 1) + guess.texts.codes)):
            return name
    return ""


def varies_within(codes: NDArray[np.int64], values: NDArray[np.float64]) -> bool:
    """Whether a column has two different values in rows with the same code."""
    filled = np.isfinite(values)
    _, whole = np.unique(values[filled], return_inverse=True)
    pairs = np.unique(codes[filled] * (whole.max(initial=0) + 1) + whole)
    return len(pairs) > len(np.unique(codes[filled]))


def _period(time: ColumnGuess, steps: NDArray[np.float64]) -> PeriodName | None:
    if time.type == "date":
        return times.period_of(steps / SECONDS_PER_HOUR)
    return "integer"


def _rows_of_some_times(time: Texts) -> NDArray[np.intp]:
    """Rows of a few times: a repeated key among them is a repeated key of the table, and found fast."""
    codes = time.codes
    chosen = np.linspace(0, len(time.distinct) - 1, TRIED_TIMES).astype(np.int64)
    return np.flatnonzero(np.isin(codes, chosen))


def _once(table: TextTable, time: Texts, names: tuple[str, ...], rows: "NDArray[np.intp] | slice") -> bool:
    joint = time.codes[rows].astype(np.int64)
    for name in names:
        column = table.by_name[name]
        joint = np.unique(joint, return_inverse=True)[1] * len(column.distinct) + column.codes[rows]
    return len(np.unique(joint)) == len(joint)


def _is_calendar_name(name: str) -> bool:
    return name.lower() in (
        "month",
        "year",
        "day",
        "hour",
        "hr",
        "week",
        "weekday",
        "dayofweek",
        "day_of_week",
        "quarter",
        "mnth",
        "yr",
    )
