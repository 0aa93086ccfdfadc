"""Operating conditions: groups of rows whose settings are alike, within which the columns are standardised.

A column has groups if gaps divide its values into a few tight ones. A condition is a combination of the groups of all
columns of the condition; a row belongs to the nearest condition.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features.panel_state.rows import Order

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GAP = 0.03  # share of a column's range without any value, which divides two groups
MOST_GROUPS = 12
TIGHT = 0.005  # share of a column's variance that may lie within its groups
FEWEST_OF_GROUP = 0.02  # share of the rows
LATEST = 0.12  # a group whose rows are earlier or later in the lives of their keys by this share is wear, no condition


@dataclass(frozen=True)
class Conditions:
    """The places of the columns, and the centre of each condition, (conditions, columns), in units of `spread`."""

    columns: Ints
    spread: Floats
    centres: Floats

    def of(self, values: Floats) -> Ints:
        """The condition of each row, by its values of all columns; a missing value does not count."""
        if len(self.centres) < 2:
            return np.zeros(len(values), dtype=np.int64)
        scaled = values[:, self.columns] / self.spread
        distance = np.zeros((len(values), len(self.centres)))
        for place in range(len(self.columns)):
            away = scaled[:, place, None] - self.centres[:, place]
            distance += np.where(np.isnan(away), 0.0, away * away)
        return np.asarray(np.argmin(distance, axis=1), dtype=np.int64)


SINGLE = Conditions(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((1, 0)))


def conditions(order: Order, values: Floats, among: Ints | None) -> Conditions:
    """The conditions of rows in this order by the columns `among`, or by those that show conditions in the data."""
    columns = np.arange(values.shape[1]) if among is None else among
    found = {int(column): _groups(values[:, column]) for column in columns}
    found = {column: codes for column, codes in found.items() if codes.max(initial=0) > 0}
    if among is None:
        found = {column: codes for column, codes in found.items() if _at_all_ages(order, codes)}
    if not found:
        return SINGLE
    return _combined(values, found)


def _groups(values: Floats) -> Ints:
    """The group of each value, from 0; all 0 if gaps do not divide them into tight groups."""
    none = np.zeros(len(values), dtype=np.int64)
    known = values[~np.isnan(values)]
    if len(known) < len(values) or not len(known) or np.ptp(known) <= 0:
        return none
    ordered = np.unique(known)
    borders = ordered[:-1][np.diff(ordered) > GAP * np.ptp(ordered)]
    if not 0 < len(borders) < MOST_GROUPS:
        return none
    codes = np.searchsorted(borders, values, side="left").astype(np.int64)
    count = np.bincount(codes)
    mean = np.bincount(codes, values) / count
    within = float(np.sum((values - mean[codes]) ** 2))
    tight = within <= TIGHT * float(np.sum((values - values.mean()) ** 2))
    return codes if tight and count.min() >= FEWEST_OF_GROUP * len(values) else none


def _at_all_ages(order: Order, codes: Ints) -> bool:
    """Whether the rows of each group lie, on average, in the middle of the lives of their keys."""
    starts = np.flatnonzero(order.place == 0)
    length = np.repeat(np.diff(np.append(starts, len(codes))), np.diff(np.append(starts, len(codes))))
    share = (order.place + 0.5) / length
    mean = np.bincount(codes, share) / np.bincount(codes)
    return bool(np.all(np.abs(mean - 0.5) <= LATEST))


def _combined(values: Floats, found: dict[int, Ints]) -> Conditions:
    columns = np.array(list(found), dtype=np.int64)
    combined, codes = np.unique(np.column_stack(list(found.values())), axis=0, return_inverse=True)
    codes, count = codes.ravel(), np.bincount(codes.ravel(), minlength=len(combined))
    often = np.flatnonzero(count >= FEWEST_OF_GROUP * len(values))
    if len(often) < 2:
        return SINGLE
    spread = values[:, columns].std(axis=0)
    centres = np.stack([values[codes == code][:, columns].mean(axis=0) for code in often])
    return Conditions(columns, spread, centres / spread)
