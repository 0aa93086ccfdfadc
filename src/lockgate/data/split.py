"""The last days are kept from training: the split by date."""

import datetime
from dataclasses import dataclass

import pandas as pd

from lockgate.errors import BadConfiguration


@dataclass(frozen=True)
class Split:
    """A chain's rows in two parts, both sorted by Store and Date: up to the cutoff, for training, and after it."""

    rows: pd.DataFrame
    holdout: pd.DataFrame
    cutoff: datetime.date  # the last day of `rows`


def split(rows: pd.DataFrame, holdout_days: int) -> Split:
    """Keep the last `holdout_days` days of the chain for the holdout.

    Raises BadConfiguration unless twice as many days remain to train on: one stretch to learn from, one to tune on.
    """
    first, last = rows["Date"].min(), rows["Date"].max()
    days = (last - first).days + 1
    if days < 3 * holdout_days:
        raise BadConfiguration(
            f"split.holdout_days is {holdout_days}, longer than {days} days of data allow",
            where=f"{first.date()} .. {last.date()}",
            hint=f"split.holdout_days: at most {days // 3}, or put more days into data/raw",
        )
    cutoff = last - pd.Timedelta(days=holdout_days)
    kept = rows["Date"] > cutoff
    return Split(rows[~kept].reset_index(drop=True), rows[kept].reset_index(drop=True), cutoff.date())
