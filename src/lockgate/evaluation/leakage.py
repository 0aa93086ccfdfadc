"""Whether a forecaster knows more than its origin could: of its features by the probe, of its past by making it anew.

The features are code of this package, so the probe asks that code. The past (ridge, habits, level) is in the bundle,
and a bundle may hold anything; so it is held against the past that the probed code makes of the rows up to the origin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lockgate.evaluation import perturbation
from lockgate.evaluation.perturbation import NAMES, Leaks
from lockgate.features import calendar
from lockgate.features.history import profiles
from lockgate.features.known_inputs import Known
from lockgate.features.panel import Panel, panel
from lockgate.features.store_ridge import FIRST_STEP_DAYS, STEP_DAYS
from lockgate.features.training_rows import origins
from lockgate.forecaster.ensemble import Forecaster

SAME = 1e-4  # of log sales: far above the last digits of another processor, far below what one day of sales moves
COMPARED_DAYS = 42
SEED = 20


@dataclass(frozen=True)
class Hindsight:
    """What was found; `otherwise` names the features that the rows up to its origin do not give."""

    leaks: Leaks
    otherwise: tuple[str, ...]
    until: str  # the origin, as a date

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Hindsight":
        """From plain values, as `dataclasses.asdict` and JSON have them."""
        leaks = Leaks(**values["leaks"] | {"names": tuple(values["leaks"]["names"])})
        return cls(leaks, tuple(values["otherwise"]), values["until"])


def hindsight(forecaster: Forecaster, rows: pd.DataFrame) -> Hindsight | None:
    """Probe a forecaster's features, and make its past anew from `rows` (which may go on after its origin).

    None if the rows do not reach to its origin, or hardly go back before it: then there is nothing to hold it against.
    """
    history = _history(forecaster, rows)
    if history is None:
        return None
    found = perturbation.leaks(history, forecaster.traits, forecaster.horizon_days, SEED)
    return Hindsight(found, _otherwise(forecaster, history), str(forecaster.origin))


def _history(forecaster: Forecaster, rows: pd.DataFrame) -> Panel | None:
    """The rows of the stores that the forecaster knows, up to its origin."""
    ids, origin = forecaster.traits.store_ids, forecaster.profile.origin
    day = calendar.day_numbers(rows["Date"].to_numpy())
    known = rows[np.isin(rows["Store"].to_numpy(), ids) & (day <= origin)]
    if known.empty or day.max() < origin:
        return None
    history = panel(known, ids)
    return history if history.last == origin and origin - history.first > 2 * forecaster.horizon_days else None


def _otherwise(forecaster: Forecaster, history: Panel) -> tuple[str, ...]:
    """Features of the days after the origin in which the bundle's past and that of the history differ."""
    made = profiles(history, _origins(history, forecaster.horizon_days), forecaster.traits)[-1]
    rows = _days_ahead(forecaster)
    carried, expected = (perturbation.seen(profile, forecaster.traits, rows) for profile in (forecaster.profile, made))
    differs = ~np.isclose(carried, expected, rtol=0.0, atol=SAME, equal_nan=True)
    return tuple(name for at, name in enumerate(NAMES) if differs[:, at].any())


def _origins(history: Panel, horizon: int) -> list[int]:
    """The last day, behind those that a training asks for too, where these change what the ridge tries on the past."""
    earlier = [] if horizon % STEP_DAYS == 0 else origins(history, history.last, horizon, FIRST_STEP_DAYS)
    return [*earlier, history.last]


def _days_ahead(forecaster: Forecaster) -> Known:
    """Every store on each of the next days, with and without promotion, school holidays and a public holiday."""
    stores, days = len(forecaster.traits.store_ids), min(forecaster.horizon_days, COMPARED_DAYS)
    store, ahead, plan = (grid.ravel() for grid in np.meshgrid(*map(np.arange, (stores, days, 2)), indexing="ij"))
    flag = plan.astype(np.int8)
    return Known(store, forecaster.profile.origin + 1 + ahead, flag, flag, flag)
