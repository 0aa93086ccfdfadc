"""The recipe of a panel of stores: its state, and how the state is fitted, stored and restored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import Categories, KnownInputs
from lockgate.features.recipe import SERVED_HORIZONS, Matrix, Recipe, Table, Terms
from lockgate.features.scale import LOG, Scale
from lockgate.features.series import Series
from lockgate.features.shared import Shared
from lockgate.features.store_panel import origins
from lockgate.features.store_panel.cold_start import HistoryLength
from lockgate.features.store_panel.history import HistoryState, history_states
from lockgate.features.store_panel.matrix import FEATURES, ForecastWindow, forecast_window, matrix
from lockgate.features.store_panel.store_attributes import CATEGORIES, StoreAttributes, store_attributes, stores
from lockgate.features.store_panel.store_ridge import FIRST_STEP_DAYS, STEP_DAYS, Ridge


@dataclass(frozen=True)
class StoreState:
    """The history state at a cutoff, with the attributes of the stores."""

    history: HistoryState
    attributes: StoreAttributes
    horizon: int

    @property
    def cutoff(self) -> int:
        """Day number of the last day that was used."""
        return self.history.origin

    @cached_property
    def series(self) -> Series:
        """The stores."""
        return stores(self.attributes)

    @property
    def categories(self) -> Categories:
        """The texts of the only category among the known covariates."""
        return CATEGORIES

    @property
    def scale(self) -> Scale:
        """The log of sales, of every store."""
        return LOG

    @property
    def little_history(self) -> NDArray[np.bool_]:
        """The stores with little or no sales history, (stores,)."""
        return self.history.history_length.little

    def transform(self, rows: KnownInputs) -> Matrix:
        """The matrix of rows after the cutoff."""
        return matrix(self._window, rows)

    @property
    def origins(self) -> tuple[str, ...]:
        """What each feature is made of."""
        return tuple(origins.FEATURES[name] for name in FEATURES)

    @property
    def changing(self) -> tuple[str, ...]:
        """The features of the calendar, of holidays, and the days since an event."""
        return tuple(name for name in FEATURES if origins.FEATURES[name] in origins.CHANGING or name in origins.COUNTED)

    def terms(self, rows: KnownInputs) -> Terms:
        """The forecast of the ridge as a sum."""
        return origins.terms(self._window, rows)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays of the state, by their name in a bundle."""
        state = self.history
        return {
            **self.attributes.arrays(),
            "ridge": state.ridge.coefficients,
            "chain": state.ridge.effects,
            "observed": state.observed,
            "habits": state.group_statistics,
            "level": state.level,
            "sold_days": state.history_length.sale_days,
            "idle_days": state.history_length.days_since_sale,
        }

    @cached_property
    def _window(self) -> ForecastWindow:
        return forecast_window(self.history, self.attributes, SERVED_HORIZONS * self.horizon)


def fit(table: Table, cutoffs: Iterable[int], horizon: int, shared: Shared | None = None) -> dict[int, StoreState]:
    """The state at each cutoff. Cutoffs a horizon apart share the work."""
    shared = shared or Shared()
    wanted, attributes = sorted(set(cutoffs)), store_attributes(table.series.frame)
    history = replace(table.history, target=LOG.scaled(table.history.target))
    grids: dict[int, list[int]] = {}
    for cutoff in wanted:
        grids.setdefault(cutoff % horizon, []).append(cutoff)
    fitted = {
        state.origin: StoreState(state, attributes, horizon)
        for grid in grids.values()
        for state in history_states(
            history,
            sorted({*_folds(table, grid[-1], horizon), *grid}),
            attributes,
            shared.within(f"cutoffs before {grid[-1]}"),
        )
    }
    return {cutoff: fitted[cutoff] for cutoff in wanted}


def restore(arrays: Mapping[str, NDArray[Any]], cutoff: int, horizon: int) -> StoreState:
    """The state with these arrays."""
    history = HistoryState(
        cutoff,
        Ridge(arrays["ridge"], arrays["chain"]),
        arrays["observed"],
        arrays["habits"],
        arrays["level"],
        HistoryLength(arrays["sold_days"], arrays["idle_days"]),
    )
    return StoreState(history, StoreAttributes.of_arrays(arrays), horizon)


def _folds(table: Table, last: int, horizon: int) -> list[int]:
    """The cutoffs before the last one, if they change the folds on which the ridge chooses its penalty.

    So the state at a cutoff is the same with and without the states before it.
    """
    return [] if horizon % STEP_DAYS == 0 else list(range(last - horizon, table.first + FIRST_STEP_DAYS - 2, -horizon))


def is_shared(array: str) -> bool:
    """Whether an array of a state is of all stores."""
    return array == "chain"


STORE_PANEL = Recipe(FEATURES, fit, restore, is_shared)
