"""Rules between cells and rows: each rule refuses the first row that breaks it and counts the others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.problem.columns import KEY, OPEN, TIME, WEEKDAY, Role, names, of_role

SHOWN_PAIRS = 5
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Place = Callable[[int], str]  # file and line of a row (from 0), for messages


def refuse_in_past(raw: pd.DataFrame, stores: pd.DataFrame, place: Place) -> None:
    """Raise BadData for rows of train.csv with a wrong weekday, sales while closed, a repeated key or no store row."""
    refuse_wrong_weekday(raw, place)
    for name in names(of_role(Role.TARGET, Role.PAST_COVARIATES)):
        _refuse_sold_while_closed(raw, name, place)
    _refuse_duplicates(raw, [KEY, TIME], place)
    stray = ~raw[KEY].isin(stores[KEY])
    _refuse_first(stray, place, lambda row: f"{KEY} {raw[KEY].iloc[row]} has no row in store.csv")


def refuse_in_stores(stores: pd.DataFrame, place: Place) -> None:
    """Raise BadData for rows of store.csv that break a rule: duplicates, Promo2 without interval."""
    _refuse_duplicates(stores, [KEY], place)
    undated = (stores["Promo2"] == 1) & (stores["PromoInterval"] == "")
    _refuse_first(undated, place, lambda row: "Promo2 is 1 but PromoInterval is empty")


def refuse_wrong_weekday(frame: pd.DataFrame, place: Place) -> None:
    """Raise BadData for a WEEKDAY, if the column exists, that differs from the weekday of the date."""
    if WEEKDAY not in frame:
        return
    true = frame[TIME].dt.day_of_week + 1

    def describe(row: int) -> str:
        date, day = frame[TIME].iloc[row].date(), true.iloc[row]
        return f"{WEEKDAY} is {frame[WEEKDAY].iloc[row]} but {date} is a {WEEKDAYS[day - 1]} ({day})"

    _refuse_first(frame[WEEKDAY] != true, place, describe)


def _refuse_sold_while_closed(raw: pd.DataFrame, name: str, place: Place) -> None:
    sold = (raw[OPEN] == 0) & (raw[name] > 0)
    _refuse_first(sold, place, lambda row: f"{OPEN} is 0 but {name} is {raw[name].iloc[row]}")


def _refuse_first(wrong: "pd.Series[bool]", place: Place, describe: Callable[[int], str]) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        more = f" (and {len(rows) - 1} more such rows)" if len(rows) > 1 else ""
        raise BadData(describe(int(rows[0])) + more, where=place(int(rows[0])), hint="correct or remove the row")


def _refuse_duplicates(frame: pd.DataFrame, key: list[str], place: Place) -> None:
    """Refuse rows with an equal key and name the first pairs; fully equal rows too: row counts would be wrong."""
    again = np.flatnonzero(frame.duplicated(key))
    if not len(again):
        return
    first = _first_of_each(frame, key, again[:SHOWN_PAIRS])
    pairs = [
        f"{_key_text(frame, key, row)}: {place(before).rpartition(', ')[2]} and {place(row).rpartition(' ')[2]}"
        for row, before in zip(again[:SHOWN_PAIRS].tolist(), first, strict=True)
    ]
    more = f"; {len(again) - SHOWN_PAIRS} more" if len(again) > SHOWN_PAIRS else ""
    what = f"{' and '.join(key)} must be unique: {'; '.join(pairs)}{more}"
    raise BadData(what, where=place(int(again[0])), hint="remove one row of each pair")


def _first_of_each(frame: pd.DataFrame, key: list[str], rows: NDArray[np.intp]) -> list[int]:
    return [int(np.flatnonzero((frame[key] == frame[key].iloc[row]).all(axis=1))[0]) for row in rows]


def _key_text(frame: pd.DataFrame, key: list[str], row: int) -> str:
    values: list[Any] = [frame[name].iloc[row] for name in key]
    return ", ".join(str(value.date()) if isinstance(value, pd.Timestamp) else f"{KEY} {value}" for value in values)
