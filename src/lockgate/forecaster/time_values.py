"""Times of a request as datetime64 in seconds, in every form that clients send; a value that is no time is NaT."""

import re
from datetime import date, datetime, time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.columns import Date
from lockgate.problem.periods import Period

NO_TIME = np.datetime64("NaT", "s")
ISO_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
CLOCK = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?"
ZONE = r"Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?| UTC"
ISO_TIME = re.compile(rf"({CLOCK})(?:\.0{{1,9}})?(?:{ZONE})?")
DAY_FORM = (
    "write the date as 2015-08-01, or as its midnight: 2015-08-01T00:00:00Z;"
    " a time of day and a number (such as epoch milliseconds) are no date"
)
FORMS = {"hour": "write a time as 2015-08-01T13:00", "month": "write a month as 2015-08, or as its first day"}


def seconds(kind: Date, period: Period | None, values: NDArray[Any]) -> NDArray[np.datetime64]:
    """The time of each value; `period` is that of a time column, None for a date among the covariates.

    A time with a zone is the one on the clock of its own zone. Hours have a time of day, and covariates whose form has
    one; other times are dates.
    """
    has_hours = period.name == "hour" if period else "%H" in kind.form
    has_months = period is not None and period.name == "month"
    if values.dtype.kind == "M":
        times = _whole_seconds(values)
    else:
        given = _hashable(values)
        found = {value: _moment(value, kind.form, has_months) for value in set(given)}
        times = np.array([found[value] for value in given], dtype="datetime64[s]")
    return times if has_hours else np.where(times == times.astype("datetime64[D]"), times, NO_TIME)


def form_of(kind: Date, period: Period | None) -> str:
    """How to write a time, for a hint."""
    if kind.form:
        return f"write it in the form {kind.form}, or as 2015-08-01"
    return FORMS.get(period.name, DAY_FORM) if period else DAY_FORM


def _hashable(values: NDArray[Any]) -> list[Any]:
    return [value if value.__hash__ else None for value in values.astype(object)]


def _moment(value: object, form: str, has_months: bool) -> np.datetime64:
    if isinstance(value, str):
        return _of_text(value, form, has_months)
    if isinstance(value, np.datetime64):
        return np.datetime64(_whole_seconds(np.array([value]))[0], "s")
    if isinstance(value, date) and not pd.isna(value):
        given = value if isinstance(value, datetime) else datetime.combine(value, time())
        parts = given.microsecond or getattr(given, "nanosecond", 0)
        return NO_TIME if parts else np.datetime64(given.replace(tzinfo=None), "s")
    return NO_TIME


def _whole_seconds(times: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Times in seconds; NaT for a time between two seconds."""
    found = times.astype("datetime64[s]")
    return np.where(found == times, found, NO_TIME)


def _of_text(text: str, form: str, has_months: bool) -> np.datetime64:
    try:
        if form:
            return np.datetime64(datetime.strptime(text, form).replace(tzinfo=None), "s")
    except ValueError:
        pass
    if has_months and ISO_MONTH.fullmatch(text):
        text = f"{text}-01"
    found = ISO_TIME.fullmatch(text)
    try:
        return np.datetime64(datetime.fromisoformat(found[1]), "s") if found else NO_TIME
    except ValueError:
        return NO_TIME
