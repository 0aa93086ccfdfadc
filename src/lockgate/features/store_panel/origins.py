"""What the features are made of, and the ridge's forecast as a sum: for the explanation of forecasts."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs
from lockgate.features.recipe import Terms
from lockgate.features.store_panel import rossmann, shared_effects, store_ridge
from lockgate.features.store_panel.history import LEVEL, STATISTICS
from lockgate.features.store_panel.matrix import ForecastWindow

Floats = NDArray[np.float64]

WEEKDAY, SEASON, DAY, HOLIDAYS, USUAL = "weekday", "season", "day of the month", "holidays", "usual values"
COMPETITION = "competition since"
CHANGING = (WEEKDAY, SEASON, DAY, HOLIDAYS)  # words of features that change with time by nature
COUNTED = ("competition_days", "promo2_days")
FEATURES: Mapping[str, str] = {
    "promo": rossmann.PROMO,
    "school": rossmann.SCHOOL_HOLIDAY,
    "state_holiday": rossmann.STATE_HOLIDAY,
    "weekday": WEEKDAY,
    "month": SEASON,
    "day_of_month": DAY,
    "days_to_month_end": DAY,
    "day_of_year": SEASON,
    "from_easter": HOLIDAYS,
    "to_holiday": HOLIDAYS,
    "from_holiday": HOLIDAYS,
    "kind": rossmann.STORE_TYPE,
    "assortment": rossmann.ASSORTMENT,
    "distance": rossmann.COMPETITION_DISTANCE,
    "competition_days": COMPETITION,
    "promo2": rossmann.PROMO2,
    "promo2_days": rossmann.PROMO2,
    "ridge": "linear forecast",
    **dict.fromkeys(STATISTICS, USUAL),
    LEVEL: USUAL,
}
REGRESSORS = {
    "level": "level",
    "trend": "trend",
    "weekday": WEEKDAY,
    "year": SEASON,
    "month": DAY,
    "season": HOLIDAYS,
    "eves": HOLIDAYS,
    "promo": rossmann.PROMO,
    "school": rossmann.SCHOOL_HOLIDAY,
    "open on a holiday": rossmann.STATE_HOLIDAY,
    "around a holiday": HOLIDAYS,
    "promo2": rossmann.PROMO2,
    "carnival": HOLIDAYS,
}
EFFECTS = {
    "around holidays": HOLIDAYS,
    "carnival": HOLIDAYS,
    "working days": DAY,
    "Saturdays beside the turn of a month": DAY,
    "Saturdays over the year": WEEKDAY,
}
SOURCES = (
    *(REGRESSORS[name] for name, (count, _, _) in store_ridge.GROUPS.items() for _ in range(count)),
    *(EFFECTS[name] for name, (count, _) in shared_effects.GROUPS.items() for _ in range(count)),
)
WORKING_DAYS = 6  # Monday, which has no regressor, to Saturday


def terms(window: ForecastWindow, rows: KnownInputs) -> Terms:
    """The forecast of the ridge as a sum.

    The base is the level of the store at the cutoff on an average day from Monday to Saturday: no promotion, no holiday
    near, and all waves of the calendar at 0.
    """
    at, state = rows.period - window.table.first, window.state
    x = store_ridge.regressors(rows, window.table, window.shared, (window.attributes, state.observed))
    coefficients, reference = state.ridge.coefficients[rows.key], _reference(window)
    own = (x - reference) * coefficients
    shared = window.effects[at] * state.ridge.effects
    base = (reference * coefficients).sum(axis=1)
    return Terms.grouped(np.asarray(base), np.concatenate([own, shared], axis=1), SOURCES)


def _reference(window: ForecastWindow) -> Floats:
    sources = np.array(SOURCES[: window.state.ridge.coefficients.shape[1]])
    found = np.zeros(len(sources))
    found[sources == "level"] = 1.0
    found[sources == "trend"] = store_ridge.trend(window.state.origin)
    found[np.flatnonzero(sources == WEEKDAY)[: WORKING_DAYS - 1]] = 1 / WORKING_DAYS
    return found
