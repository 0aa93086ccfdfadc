"""The leak probe: does any feature know a sale that its row's origin could not know?

Sales are replaced by noise, day by day, and the features are made anew: what moves depends on that day. It trusts no
name and reads no code.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.features import matrix
from lockgate.features.history import Profile, profiles
from lockgate.features.known_inputs import Known, Traits, cells
from lockgate.features.matrix import FEATURES
from lockgate.features.panel import Panel

Floats = NDArray[np.float64]

STORES = 40  # so many stores, spread over the chain, tell as much as all
DAYS_BACK = 7  # a feature of past sales takes in one of the last seven days, whatever its weekday
OFFSETS = ("offset ridge", "offset habit")  # where the boosters start
NAMES = (*FEATURES, *OFFSETS)


@dataclass(frozen=True)
class Finding:
    """What a feature (or an offset) knows of sales."""

    feature: str
    youngest: int | None  # days from the origin to the youngest sale that moves it, 0 the origin itself; None: no sale
    leaks: bool  # it moves with sales after the origin


@dataclass(frozen=True)
class Leaks:
    """Which features move with sales after their origin; how many were tried, and how many move with earlier sales."""

    names: tuple[str, ...]
    tried: int
    of_the_past: int  # none at all: the probe was blind


def probe(history: Panel, store_traits: Traits, horizon: int, seed: int) -> tuple[Finding, ...]:
    """Findings for each feature, in their order, on the last `horizon` days of a history, seen from the day before."""
    trial = _Trial.of(history, store_traits, horizon, seed)
    leaks = trial.moved(trial.origin + 1, trial.history.last)
    by_day = [trial.moved(trial.origin - back, trial.origin - back) for back in range(DAYS_BACK)]
    return tuple(
        Finding(name, next((back for back, found in enumerate(by_day) if found[at]), None), bool(leaks[at]))
        for at, name in enumerate(NAMES)
    )


def leaks(history: Panel, store_traits: Traits, horizon: int, seed: int) -> Leaks:
    """What of `probe` a judge needs, for a third of its cost."""
    trial = _Trial.of(history, store_traits, horizon, seed)
    later, earlier = trial.moved(trial.origin + 1, trial.history.last), trial.moved(trial.history.first, trial.origin)
    return Leaks(tuple(name for name, moves in zip(NAMES, later, strict=True) if moves), len(NAMES), int(earlier.sum()))


@dataclass(frozen=True)
class _Trial:
    """A history, an origin in it, and the columns that belong to it."""

    history: Panel
    origin: int
    store_traits: Traits
    truth: Floats
    rng: Generator

    @classmethod
    def of(cls, history: Panel, store_traits: Traits, horizon: int, seed: int) -> "_Trial":
        some, traits_of_some = _sample(history, store_traits)
        origin = some.last - horizon
        truth = _columns(some, origin, traits_of_some)
        return cls(some, origin, traits_of_some, truth, np.random.default_rng(seed))

    def moved(self, first: int, last: int) -> NDArray[np.bool_]:
        """Which columns are others once there is noise in place of the sales of the days first..last."""
        noisy = _columns(_with_noise(self.history, first, last, self.rng), self.origin, self.store_traits)
        return ~np.array([np.array_equal(noisy[:, at], self.truth[:, at], equal_nan=True) for at in range(len(NAMES))])


def _columns(history: Panel, origin: int, store_traits: Traits) -> Floats:
    """Features and offsets of all store days after the origin, as (rows, NAMES).

    The origin is asked for beside a later one, as a training asks: they share work, and must not share sales.
    """
    profile = profiles(history, [origin, history.last], store_traits)[0]
    window = history.between(origin + 1, history.last)
    return seen(profile, store_traits, cells(window))


def seen(profile: Profile, store_traits: Traits, rows: Known) -> Floats:
    """Features and offsets of some rows after a profile's origin, as (rows, NAMES)."""
    view = matrix.lens(profile, store_traits, int(rows.day.max()) - profile.origin)
    found = matrix.matrix(view, rows)
    return np.column_stack([found.values.astype(np.float64), found.ridge, found.habit])


def _with_noise(history: Panel, first: int, last: int, rng: Generator) -> Panel:
    """The same history, but for what was sold on the days first..last, open or not."""
    log_sales = history.log_sales.copy()
    days = slice(first - history.first, last + 1 - history.first)
    log_sales[:, days] = rng.normal(20.0, 5.0, size=log_sales[:, days].shape)
    return replace(history, log_sales=log_sales)


def _sample(history: Panel, store_traits: Traits) -> tuple[Panel, Traits]:
    count = len(store_traits.store_ids)
    some = np.unique(np.linspace(0, count - 1, min(STORES, count)).astype(np.int64))
    grids = {field.name: getattr(history, field.name)[some] for field in fields(Panel) if field.name != "first"}
    columns = {field.name: getattr(store_traits, field.name)[some] for field in fields(Traits)}
    return Panel(first=history.first, **grids), Traits(**columns)
