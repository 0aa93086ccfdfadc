"""Windows of time: the last one is number 0, the one before it number 1. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import WrongUsage
from lockgate.monitoring.live import Live
from lockgate.problem.description import Problem
from lockgate.problem.params import WINDOW_LENGTH

Ints = NDArray[np.int64]

OUTSIDE = -1
HOURS = {"hour": 1, "day": 24, "week": 168, "month": 730, "integer": 24}  # of a period; an integer counts as a day


@dataclass(frozen=True)
class Windows:
    """Windows of one length that end now; those of a panel's errors end with the newest period whose truth is known.

    `newest` is the number of this period, None without a truth or for other problems.
    """

    length: timedelta
    count: int
    now: datetime
    newest: int | None = None

    def periods(self, problem: Problem) -> int:
        """The periods of a window of a panel; at least one."""
        return max(1, round(self.length / timedelta(hours=HOURS[problem.period.name])))

    def place_of(self, moment: datetime) -> int:
        """The window of a moment; a clock that is a little ahead counts as now."""
        return int(max(timedelta(0), self.now - moment) // self.length)

    def of_request(self, live: Live) -> Ints:
        """The window of each row by the time of its request; OUTSIDE for an older one."""
        return self._placed(_age(live.about["at"], self.now) // self.length.total_seconds())

    def of_truth(self, live: Live) -> Ints:
        """The window of each row by its period (a panel), else by the time of its request; OUTSIDE for others."""
        if live.problem.kind != "panel":
            return self.of_request(live)
        if self.newest is None:
            return np.full(len(live), OUTSIDE, dtype=np.int64)
        return self._placed(
            (self.newest - live.about["period"].to_numpy(dtype=np.float64)) // self.periods(live.problem)
        )

    def _placed(self, number: Any) -> Ints:
        inside = (number >= 0) & (number < self.count)
        return np.where(inside, np.nan_to_num(number), OUTSIDE).astype(np.int64)


def length_of(text: str) -> timedelta:
    """The length that a text such as 12h or 7d names. Raises WrongUsage for another text."""
    if not (found := WINDOW_LENGTH.fullmatch(text)):
        raise WrongUsage(f"no length of a window: {text[:40]}", hint="hours or days, such as 12h or 7d")
    return timedelta(hours=int(found[0][:-1]) * (24 if text[-1] == "d" else 1))


def _age(at: "pd.Series[Any]", now: datetime) -> Any:
    """The seconds from each time until now; a clock that is a little ahead counts as now."""
    seconds = (pd.Timestamp(now) - at).dt.total_seconds().to_numpy(dtype=np.float64)
    return np.maximum(seconds, 0.0)
