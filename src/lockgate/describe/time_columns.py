"""A time in several columns of a table: which columns, and the column that they are put together to."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lockgate.data.time_parts import MONTHS, text_of
from lockgate.describe.table import Texts, TextTable
from lockgate.errors import WrongUsage

NAMES = ("time", "time_of_row", "put_together_time")  # of the new column: the first that the table does not have
HOUR_NAMES = frozenset({"hr", "hour", "hours", "hour_of_day", "hourofday", "stunde", "heure", "hora", "ora", "uur"})
LEAST_HOURS = 12  # different values of a column of hours
DATE_ALONE = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}([ T]0?0:00(:00)?)?")
WHOLE = re.compile(r"[0-9]+(\.0+)?")


@dataclass(frozen=True)
class TimeColumns:
    """A table with one column of the time, its name, the columns that it was put together from, and a doubt."""

    table: TextTable
    time: str
    parts: tuple[str, ...] = ()
    doubt: str = ""


def put_together(table: TextTable, time: str, parts: tuple[str, ...], keys: Sequence[str]) -> TimeColumns:
    """The table with the time of `parts`; without them, of the dates of `time` and a column of hours beside them.

    Raises WrongUsage for parts that are no time.
    """
    if parts:
        return _together(table, parts, _kinds(table, parts))
    hour = _hour_beside(table, time, keys)
    if not hour:
        return TimeColumns(table, time)
    doubt = f"{time} and {hour} together are taken as the time; for one series for each {hour}: --key {hour}"
    return _together(table, (time, hour), ("date", "hour"), doubt)


def _together(table: TextTable, parts: tuple[str, ...], kinds: tuple[str, ...], doubt: str = "") -> TimeColumns:
    joint = table.joint_codes(parts)
    _, first, codes = np.unique(joint, return_index=True, return_inverse=True)
    columns = [table.by_name[name] for name in parts]
    rows = ([column.distinct[column.codes[row]] for column in columns] for row in first.tolist())
    texts = [text_of(kinds, row) for row in rows]
    distinct = tuple(dict.fromkeys(texts))
    place = {text: number for number, text in enumerate(distinct)}
    name = next(each for each in NAMES if each not in table.names)
    time = Texts(name, distinct, np.array([place[text] for text in texts], dtype=np.int64)[codes])
    kept = (column for column in table.columns if column.name not in parts)
    return TimeColumns(TextTable((time, *kept)), name, parts, doubt)


def _kinds(table: TextTable, parts: tuple[str, ...]) -> tuple[str, ...]:
    columns = [table.by_name[name] for name in parts]
    if len(parts) == 2 and not _whole(columns[0]):
        return "date", "hour"
    if len(parts) == 2:
        return "year", "month" if _are_months(columns[1]) else "week"
    found = ("year", "month", "day", "hour")[: len(parts)]
    if len(found) < len(parts):
        raise WrongUsage(
            f"--time is given {len(parts)} times", hint="a time has a date and an hour, or year, month, day and hour"
        )
    return found


def _are_months(column: Texts) -> bool:
    numbers = _whole(column)
    return max(numbers) <= len(MONTHS) if numbers else True


def _whole(column: Texts) -> list[int]:
    """The whole numbers of a column; none if a text is another one."""
    texts = [text.strip() for text in column.distinct]
    return [int(float(text)) for text in texts] if all(map(WHOLE.fullmatch, texts)) else []


def _hour_beside(table: TextTable, time: str, keys: Sequence[str]) -> str:
    """The column of hours, by name and values, of a table whose time has dates alone; "" if there is none."""
    if time not in table.by_name or not all(map(DATE_ALONE.fullmatch, table.by_name[time].distinct)):
        return ""
    named = (each for each in table.columns if each.name.lower() in HOUR_NAMES and each.name not in keys)
    return next((each.name for each in named if _are_hours(_whole(each))), "")


def _are_hours(numbers: list[int]) -> bool:
    return len(numbers) >= LEAST_HOURS and max(numbers) < 24
