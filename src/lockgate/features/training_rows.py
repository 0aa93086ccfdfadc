"""The rows to learn from, as the rows to be forecast will stand: blocks of one horizon, each seen from the day before.

So no feature of a training row is younger than the same feature of the forecast.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lockgate.features import matrix as features_matrix
from lockgate.features import shared_effects
from lockgate.features.history import Profile, profiles
from lockgate.features.known_inputs import Traits, cells
from lockgate.features.matrix import Matrix
from lockgate.features.panel import Panel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A ridge that has seen fewer days has not met the seasons yet: what it misses says nothing about the chain's next year.
SEASONED_DAYS = 300


@dataclass(frozen=True)
class Block:
    """Rows with sales, seen from their origins."""

    matrix: Matrix
    log_sales: Floats
    day: Ints
    store: Ints  # place in Traits.store_ids
    surprise: Floats  # log sales of the whole chain on the row's day beyond what the ridge of its origin expected
    history_days: Ints  # that its origin looks back on


def origins(history: Panel, last: int, horizon: int, min_history_days: int) -> list[int]:
    """Origins of the blocks, a horizon apart, of which the last one ends on `last`; the oldest first."""
    oldest = history.first + min_history_days - 1
    return list(range(last - horizon, oldest - 1, -horizon))[::-1]


def survey(history: Panel, wanted: Iterable[int], store_traits: Traits, horizon: int) -> dict[int, Profile]:
    """The profile of each wanted origin. Origins a horizon apart share the work."""
    phases: dict[int, list[int]] = {}
    for origin in sorted(set(wanted)):
        phases.setdefault(origin % horizon, []).append(origin)
    found = (profile for grid in phases.values() for profile in profiles(history, grid, store_traits))
    return {profile.origin: profile for profile in found}


def block(history: Panel, profile: Profile, store_traits: Traits, horizon: int) -> Block:
    """The rows with sales of the `horizon` days after a profile's origin."""
    window = history.between(profile.origin + 1, profile.origin + horizon)
    log_sales = window.log_sales.ravel()
    sold = ~np.isnan(log_sales)
    rows = cells(window).take(sold)
    found = features_matrix.matrix(features_matrix.lens(profile, store_traits, horizon), rows)
    return Block(
        found,
        log_sales[sold],
        rows.day,
        rows.store,
        surprise=shared_effects.surprises(rows.day, log_sales[sold] - found.ridge),
        history_days=np.full(len(rows.day), profile.origin - history.first + 1),
    )


def join(parts: Sequence[Block]) -> Block:
    """All rows of some blocks."""
    matrix = Matrix(
        values=np.concatenate([part.matrix.values for part in parts]),
        ridge=np.concatenate([part.matrix.ridge for part in parts]),
        habit=np.concatenate([part.matrix.habit for part in parts]),
    )
    names = ("log_sales", "day", "store", "surprise", "history_days")
    return Block(matrix, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def lesson(block: Block, *, calm: bool) -> Block:
    """The rows as a booster is taught them: calm, without each day's surprise, or the days as they were.

    No origin knows a day's surprise, and it is half of what the ridge misses. Boosters that are shown it learn what
    happened to the chain in the blocks they saw and forecast it again; on some windows that makes them worse than the
    ridge they start from. What they are for is how stores differ; one that is shown it all the same makes the blend's
    members differ. But none is shown what surprised a ridge that had hardly seen a year.
    """
    hidden = block.surprise if calm else np.where(block.history_days < SEASONED_DAYS, block.surprise, 0.0)
    return replace(block, log_sales=block.log_sales - hidden)
