"""Dates in text: their form, and the length of a period."""

import datetime
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.problem.periods import PeriodName

ISO = "%Y-%m-%d"
FORMS = (
    ISO, "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m",
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M",
    "%d-%m-%Y", "%m-%d-%Y", "%d-%m-%Y %H:%M", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d/%m/%y", "%m/%d/%y",
    "%d-%b-%Y", "%d-%b-%y",
    "%d %b %Y", "%b %Y", "%b-%Y", "%B %Y", "%d %B %Y", "%m/%Y",
)  # fmt: skip
DIGITS = {8: "%Y%m%d", 6: "%Y%m"}  # by length: only for a column that is named as the time
DIGITS_OF_TIME = re.compile(r"(19|20)\d{4}(\d\d)?")
TRIED = 200  # texts that decide which forms are worth a full check
HOURS_OF_PERIODS: tuple[tuple[PeriodName, float, float], ...] = (
    ("hour", 0.9, 2), ("day", 20, 100), ("week", 160, 180), ("month", 600, 800),
)  # fmt: skip


def forms_of(texts: Sequence[str], digits: bool = False) -> list[str]:
    """The forms of strptime that fit every text, the likeliest first: dates rise by even steps, if two forms fit."""
    forms = (*FORMS, *_forms_of_digits(texts)) if digits else FORMS
    fitting = [form for form in forms if _fits(texts[:TRIED], form) and _all_fit(texts, form)]
    return sorted(fitting, key=lambda form: _unevenness(parsed(texts, form)))


def _forms_of_digits(texts: Sequence[str]) -> list[str]:
    lengths = {len(text) if DIGITS_OF_TIME.fullmatch(text) else 0 for text in texts}
    return [DIGITS[length] for length in lengths if length] if len(lengths) == 1 else []


def parsed(texts: Sequence[str], form: str) -> NDArray[Any]:
    """The times of texts, as datetime64 in seconds."""
    found: NDArray[Any] = pd.to_datetime(pd.Series(texts, dtype="str"), format=form).to_numpy().astype("datetime64[s]")
    return found


def period_of(steps: NDArray[np.float64]) -> PeriodName | None:
    """The period whose length is the median of the steps between times, in hours; None for another length."""
    if not len(steps):
        return None
    typical = float(np.median(steps))
    return next((name for name, low, high in HOURS_OF_PERIODS if low < typical <= high), None)


def clocks_go_back(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each time, in seconds, is in an hour that local clocks may show twice.

    That is the night of a Sunday: the last one of October (Europe), the first one of November (North America) or of
    April (Australia).
    """
    moments = pd.DatetimeIndex(times.astype("datetime64[s]"))
    last_of_october = (moments.month == 10) & (moments.day > 24)
    first = moments.month.isin((4, 11)) & (moments.day <= 7)
    return np.asarray((moments.day_of_week == 6) & (moments.hour < 4) & (last_of_october | first))


def _fits(texts: Sequence[str], form: str) -> bool:
    for text in texts:
        try:
            datetime.datetime.strptime(text, form)
        except ValueError:
            return False
    return bool(texts)


def _all_fit(texts: Sequence[str], form: str) -> bool:
    return bool(pd.to_datetime(pd.Series(texts, dtype="str"), format=form, errors="coerce").notna().all())


def _unevenness(times: NDArray[Any]) -> float:
    """The variation of the steps between distinct times, relative to their mean."""
    steps = np.diff(np.unique(times).astype(np.int64)).astype(np.float64)
    return float(steps.std() / steps.mean()) if len(steps) > 1 else 0.0
