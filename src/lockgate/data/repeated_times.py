"""Rows of the history with the key and time of another row, joined to one row where `duplicates` says so.

A time in local hours has one hour twice a year, when the clocks go back.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.row_counts import RowCount
from lockgate.data.row_rules import Place
from lockgate.problem.columns import Role
from lockgate.problem.description import JOINED, Problem

MEASURED = (Role.TARGET, Role.PAST_COVARIATES)


def joined(problem: Problem, raw: pd.DataFrame, place: Place) -> tuple[pd.DataFrame, Place, tuple[RowCount, ...]]:
    """The rows with one row for each key and period, the place of a row, and a count of the others.

    Target and past covariates that are numbers get the mean or the sum of the rows, others the first value. Without
    such a value of `duplicates`, the rows are unchanged.
    """
    how = problem.main_source.duplicates
    if problem.time is None or how not in JOINED:
        return raw, place, ()
    compared = raw[list(problem.keys)].assign(period=problem.period.number(raw[problem.time_name].to_numpy()))
    again = compared.duplicated().to_numpy()
    count = RowCount(
        "joined", int(again.sum()), len(raw), f" to an earlier row of their key and time (duplicates: {how})"
    )
    if not again.any():
        return raw, place, (count,)
    kept, group = np.flatnonzero(~again), compared.groupby(list(compared.columns), sort=False, dropna=False).ngroup()
    found = raw.iloc[kept].reset_index(drop=True)
    if how != "first":
        found = found.assign(**_measured(problem, raw, group.to_numpy(), how))
    return found, lambda row: place(int(kept[row])), (count,)


def _measured(problem: Problem, raw: pd.DataFrame, group: NDArray[np.int64], how: str) -> dict[str, "pd.Series[float]"]:
    """The joined values of the columns that are measured, in the order of their groups; whole numbers stay whole."""
    names = [column.name for column in problem.history if column.role in MEASURED]
    found = {}
    for name in names:
        if pd.api.types.is_numeric_dtype(raw[name]):
            values = raw[name].groupby(group).agg(how)
            whole = pd.api.types.is_integer_dtype(raw[name])
            found[name] = (values.round() if whole else values).astype(raw[name].dtype).reset_index(drop=True)
    return found
