"""Splits rows by date: the last days are the holdout."""

import datetime
from dataclasses import dataclass

import pandas as pd

from lockgate.errors import BadConfiguration
from lockgate.problem.columns import TIME


@dataclass(frozen=True)
class Split:
    """Rows up to the cutoff, for training, and after it, both sorted by key and time."""

    rows: pd.DataFrame
    holdout: pd.DataFrame
    cutoff: datetime.date  # the last day of `rows`


def split(rows: pd.DataFrame, holdout_days: int) -> Split:
    """Split off the last `holdout_days` days as the holdout.

    Raises BadConfiguration unless twice as many days remain for training: one part to learn, one to choose rounds.
    """
    first, last = rows[TIME].min(), rows[TIME].max()
    days = (last - first).days + 1
    if days < 3 * holdout_days:
        raise BadConfiguration(
            f"problem.horizon is {holdout_days}, too long for {days} days of data",
            where=f"{first.date()} .. {last.date()}",
            hint=f"problem.horizon: at most {days // 3}, or put more days into data/raw",
        )
    cutoff = last - pd.Timedelta(days=holdout_days)
    kept = rows[TIME] > cutoff
    return Split(rows[~kept].reset_index(drop=True), rows[kept].reset_index(drop=True), cutoff.date())
