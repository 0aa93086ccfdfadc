"""Rules between cells and rows: each rule refuses the first row that breaks it and counts the others."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.problem.description import Problem

SHOWN_PAIRS = 5
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

REMOVE = "remove one row of each pair"
JOIN = f"{REMOVE}, or join them: duplicates: first, mean or sum in problem.sources"
JOIN_HOURS = f"{JOIN} (in local time, an hour stands twice when the clocks go back)"

Place = Callable[[int], str]  # file and line of a row (from 0), for messages


def refuse_in_history(problem: Problem, raw: pd.DataFrame, place: Place) -> None:
    """Raise BadData for rows that break a check or a rule of the problem, and for a repeated key and time."""
    refuse_failed_checks(problem, raw, place)
    refuse_broken_rules(problem, raw, place)
    if problem.time:
        periods = problem.period.number(raw[problem.time_name].to_numpy())
        key, hint = [*problem.keys, problem.time_name], JOIN_HOURS if problem.period.name == "hour" else JOIN
        _refuse_duplicates(key, raw, place, hint, {problem.time_name: periods})


def refuse_in_side_table(problem: Problem, key: Sequence[str], side: pd.DataFrame, place: Place) -> None:
    """Raise BadData for rows of a side table with a repeated key, and for rows that break a rule of the problem."""
    _refuse_duplicates(list(key), side, place, REMOVE)
    refuse_broken_rules(problem, side, place)


def refuse_without_side_row(key: Sequence[str], raw: pd.DataFrame, side: pd.DataFrame, name: str, place: Place) -> None:
    """Raise BadData for the first row whose key has no row in the side table of this file name."""
    stray = without_side_row(key, raw, side)
    _refuse_first(pd.Series(stray), place, lambda row: f"{key_text(key, raw, row)} has no row in {name}")


def without_side_row(key: Sequence[str], raw: pd.DataFrame, side: pd.DataFrame) -> NDArray[np.bool_]:
    """The rows whose key has no row in the side table."""
    names = list(key)
    return np.asarray(~pd.MultiIndex.from_frame(raw[names]).isin(pd.MultiIndex.from_frame(side[names])))


def refuse_varying(key: list[str], static: list[str], raw: pd.DataFrame, place: Place) -> None:
    """Raise BadData for the first row whose static feature differs from the first row of its key."""
    for name in static:
        first = raw.groupby(key, dropna=False)[name].transform("first")
        wrong = (raw[name] != first) & ~(raw[name].isna() & first.isna())
        _refuse_first(wrong, place, partial(_says_varying, key, name, raw, first))


def _says_varying(key: list[str], name: str, raw: pd.DataFrame, first: "pd.Series[Any]", row: int) -> str:
    found = f"{name} is {raw[name].iloc[row]} but {first.iloc[row]} in an earlier row of {key_text(key, raw, row)}"
    return f"{found}; a static feature has one value for each key"


def refuse_failed_checks(problem: Problem, frame: pd.DataFrame, place: Place) -> None:
    """Raise BadData for a column of weekdays, if the frame has it, that differs from the weekday of the time."""
    for name in problem.checks:
        if name in frame:
            _refuse_wrong_weekday(name, problem.time_name, frame, place)


def _refuse_wrong_weekday(name: str, time: str, frame: pd.DataFrame, place: Place) -> None:
    _refuse_first(wrong_weekday(name, time, frame), place, lambda row: says_weekday(name, time, frame, row))


def wrong_weekday(name: str, time: str, frame: pd.DataFrame) -> "pd.Series[bool]":
    """The rows whose column of weekdays differs from the weekday of the time."""
    return frame[name] != frame[time].dt.day_of_week + 1


def says_weekday(name: str, time: str, frame: pd.DataFrame, row: int) -> str:
    """The two weekdays of such a row, in words."""
    moment = frame[time].iloc[row]
    day = moment.day_of_week + 1
    return f"{name} is {frame[name].iloc[row]} but {moment.date()} is a {WEEKDAYS[day - 1]} ({day})"


def refuse_broken_rules(problem: Problem, frame: pd.DataFrame, place: Place) -> None:
    """Raise BadData for the first row that breaks a rule whose columns the frame has."""
    for rule in problem.rules:
        named = {*rule.when, *rule.then, *rule.filled}
        if named <= set(frame.columns):
            applies = np.logical_and.reduce([frame[name] == value for name, value in rule.when.items()])
            when = " and ".join(f"{name} is {value}" for name, value in rule.when.items())
            for name, value in rule.then.items():
                _refuse_other_value(when, name, frame, applies & (frame[name] != value), place)
            for name in rule.filled:
                empty = frame[name].isna() | (frame[name] == "")
                _refuse_first(applies & empty, place, partial(_says_empty, when, name))


def _refuse_other_value(when: str, name: str, frame: pd.DataFrame, wrong: "pd.Series[bool]", place: Place) -> None:
    _refuse_first(wrong, place, lambda row: f"{when} but {name} is {frame[name].iloc[row]}")


def _says_empty(when: str, name: str, _: int) -> str:
    return f"{when} but {name} is empty"


def _refuse_first(wrong: "pd.Series[bool]", place: Place, describe: Callable[[int], str]) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        more = f" (and {len(rows) - 1} more such rows)" if len(rows) > 1 else ""
        raise BadData(describe(int(rows[0])) + more, where=place(int(rows[0])), hint="correct or remove the row")


def _refuse_duplicates(
    key: list[str], frame: pd.DataFrame, place: Place, hint: str, periods: dict[str, NDArray[np.int64]] | None = None
) -> None:
    """Refuse rows with an equal key and name the first pairs; fully equal rows too: row counts would be wrong.

    Times are equal if their `periods` are.
    """
    compared = frame[key].assign(**(periods or {}))
    again = np.flatnonzero(compared.duplicated())
    if not len(again):
        return
    first = _first_of_each(compared, key, again[:SHOWN_PAIRS])
    pairs = [
        f"{key_text(key, frame, row)}: {_both(place(before), place(row))}"
        for row, before in zip(again[:SHOWN_PAIRS].tolist(), first, strict=True)
    ]
    more = f"; {len(again) - SHOWN_PAIRS} more" if len(again) > SHOWN_PAIRS else ""
    what = f"{' and '.join(key)} must be unique: {'; '.join(pairs)}{more}"
    raise BadData(what, where=place(int(again[0])), hint=hint)


def _both(before: str, row: str) -> str:
    """Two places in short, such as "line 3 and 7"; with the names of their parts if these differ."""
    file, _, line = before.rpartition(", ")
    if file == row.rpartition(", ")[0]:
        return f"{line} and {row.rpartition(' ')[2]}"
    return f"{Path(before).name} and {Path(row).name}"


def _first_of_each(frame: pd.DataFrame, key: list[str], rows: NDArray[np.intp]) -> list[int]:
    return [int(np.flatnonzero((frame[key] == frame[key].iloc[row]).all(axis=1))[0]) for row in rows]


def key_text(key: Sequence[str], frame: pd.DataFrame, row: int) -> str:
    """The key of a row in words."""
    values: dict[str, Any] = {name: frame[name].iloc[row] for name in key}
    return ", ".join(_value_text(name, value) for name, value in values.items())


def _value_text(name: str, value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return str(value).removesuffix(" 00:00:00")
    return f"{name} {value}"
