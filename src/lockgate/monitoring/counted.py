"""Which forecast counts, where a key and period was forecast several times. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lockgate.monitoring.live import Live
from lockgate.problem.description import Problem


@dataclass(frozen=True)
class Counted:
    """The forecasts that count, one for each key and period, and how many do not.

    `repeated`: another forecast of the same key and period counts. `too_late`: made after their truth was known.
    `in_period` count, though they were made after their period began.
    """

    live: Live
    repeated: int
    too_late: int
    in_period: int


def counted(live: Live) -> Counted:
    """The newest forecast of each key and period that was made before the period began.

    Without one, the newest that was made before the truth was loaded. A table without keys has no repeated rows.
    """
    too_late = (live.about["at"] >= live.about["truth_at"]).to_numpy(dtype=np.bool_)
    early = live.where(~too_late)
    ahead = _ahead(live.problem, early.about)
    order = early.about.assign(ahead=ahead).sort_values(["ahead", "at"], kind="stable")
    last = order.drop_duplicates(["key", "period"], keep="last").index
    chosen = np.zeros(len(early), dtype=np.bool_)
    chosen[last] = True
    in_period = int((chosen & ~ahead).sum()) if live.problem.kind == "panel" else 0
    return Counted(early.where(chosen), len(early) - len(last), int(too_late.sum()), in_period)


def _ahead(problem: Problem, about: pd.DataFrame) -> Any:
    """The rows that were forecast before their period began; all of them where time is no calendar."""
    if problem.kind != "panel" or problem.period.is_integer:
        return np.ones(len(about), dtype=np.bool_)
    known = about["period"].notna().to_numpy()
    starts = problem.period.start(about["period"].fillna(0).to_numpy(dtype=np.int64))
    made = about["at"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    return known & (made < starts)
