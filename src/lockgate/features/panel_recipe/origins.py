"""What the features are made of, and the linear forecast as a sum: for the explanation of forecasts."""

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import KnownInputs
from lockgate.features.panel_recipe import holidays
from lockgate.features.panel_recipe.declaration import STATISTICS
from lockgate.features.panel_recipe.matrix import History
from lockgate.features.panel_recipe.past import GROUP_STATISTICS
from lockgate.features.panel_recipe.period_calendar import COLUMNS, seasons
from lockgate.features.panel_recipe.regressors import CALENDAR, HOLIDAYS, LEVEL, TREND, YEAR, Kind
from lockgate.features.recipe import Terms

Floats = NDArray[np.float64]

LAGS, RECENT, USUAL, LINEAR = (
    "last values of the target",
    "recent level of the target",
    "usual values",
    "linear forecast",
)
AHEAD = "distance from training"
WORDS = {"ahead": AHEAD, "linear": LINEAR, "size": LEVEL, "age": TREND}
CHANGING = (AHEAD, TREND, CALENDAR, HOLIDAYS)  # words of features that change with time by nature
BEGINNINGS = {"lag_": LAGS, "seasonal_": LAGS, "residual_": RECENT}


def terms(history: History, rows: KnownInputs) -> Terms:
    """The forecast of the linear model as a sum.

    The base is the level of the key at the cutoff, for the average calendar of the year before; numbers are at their
    mean in training, flags at 0, categories at their first value, and no holiday is near.
    """
    model, reference = history.linear, _reference(history)
    coefficients = model.coefficients[rows.key]
    values = (history.layout.of_rows(rows) - reference) / model.spread * coefficients
    base = ((reference - model.centre) / model.spread * coefficients).sum(axis=1)
    return Terms.grouped(np.asarray(base), values, history.layout.sources)


def _reference(history: History) -> Floats:
    layout, kinds = history.layout, np.array(history.layout.kinds)
    found = np.where((kinds == Kind.NUMBER) | (kinds == Kind.TREND), history.linear.centre, 0.0)
    found[kinds == Kind.LEVEL] = 1.0
    year = np.arange(history.cutoff - int(YEAR[layout.period.name]) + 1, history.cutoff + 1)
    found[(kinds == Kind.SHORT) | (kinds == Kind.YEAR)] = seasons(layout.period, year).values.mean(axis=0)
    return found


def origins(history: History, names: tuple[str, ...], keys: tuple[str, ...]) -> tuple[str, ...]:
    """What each of the features is made of: a column, or words."""
    columns = {column.name for column in history.layout.columns} | set(history.static_names)
    own = {"key": " and ".join(keys)} if "key" not in columns else {}
    return tuple(name if name in columns else own.get(name) or _origin(history, name) for name in names)


def _origin(history: History, name: str) -> str:
    if name in WORDS:
        return WORDS[name]
    if name in COLUMNS:
        return CALENDAR
    if name in holidays.names(history.layout.period):
        return HOLIDAYS
    if name.startswith("since_"):
        return name.removeprefix("since_")
    if name in (f"group_{statistic}" for statistic in GROUP_STATISTICS):
        return USUAL
    if name in (f"{statistic}_so_far" for statistic in STATISTICS):
        return USUAL
    return next((words for beginning, words in BEGINNINGS.items() if name.startswith(beginning)), RECENT)
