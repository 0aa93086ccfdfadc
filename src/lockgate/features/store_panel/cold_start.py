"""Length of each store's history; a store without any gets the mean coefficients of its peers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features.panel import Panel
from lockgate.features.store_panel.store_attributes import StoreAttributes

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Circle = tuple[int, ...]  # (type, assortment), (type,), or () for all stores

FEW_DAYS = 84  # with fewer days of sales, a store's forecast is mostly the chain's
DAYS_WITHOUT_SALE = 28  # days without a sale: the store was closed or its rows are missing


@dataclass(frozen=True)
class HistoryLength:
    """History of each store up to a cutoff, one entry a store."""

    sale_days: NDArray[np.int32]  # days with sales
    days_since_sale: NDArray[np.int32]  # days since the last sale; all days of the history if there is no sale

    @property
    def never_sold(self) -> Flags:
        """Stores that never sold."""
        return np.asarray(self.sale_days == 0)

    @property
    def few_sales(self) -> Flags:
        """Stores with few days of sales."""
        return (self.sale_days > 0) & (self.sale_days < FEW_DAYS)

    @property
    def no_recent_sale(self) -> Flags:
        """Stores with sales, the last one more than DAYS_WITHOUT_SALE ago."""
        return (self.sale_days > 0) & (self.days_since_sale > DAYS_WITHOUT_SALE)

    @property
    def little(self) -> Flags:
        """Stores with little or no sales history: never sold, few sales, or no recent sale."""
        return self.never_sold | self.few_sales | self.no_recent_sale


def history_length(past: Panel) -> HistoryLength:
    """Days with sales and days since the last sale, by store."""
    sold = ~np.isnan(past.target)
    width = sold.shape[1]
    idle = np.where(sold.any(axis=1), sold[:, ::-1].argmax(axis=1), width)
    return HistoryLength(sold.sum(axis=1).astype(np.int32), idle.astype(np.int32))


def means_of_peers(coefficients: Floats, unknown: Flags, attributes: StoreAttributes) -> dict[Circle, Floats]:
    """The mean coefficients of the known stores of each circle that has one."""
    circles: dict[Circle, list[int]] = {}
    for store in np.flatnonzero(~unknown).tolist():
        for circle in _circles(attributes, store):
            circles.setdefault(circle, []).append(store)
    return {circle: coefficients[stores].mean(axis=0) for circle, stores in circles.items()}


def with_peers(
    coefficients: Floats, unknown: Flags, attributes: StoreAttributes, means: Mapping[Circle, Floats]
) -> Floats:
    """Coefficients (stores, regressors) in which each unknown store has the mean coefficients of its peers.

    Peers are the known stores of its type and assortment; without any, those of its type; else all known stores.
    """
    filled = coefficients.copy()
    for store in np.flatnonzero(unknown).tolist():
        peers = next((circle for circle in _circles(attributes, store) if circle in means), None)
        if peers is not None:
            filled[store] = means[peers]
    return filled


def _circles(attributes: StoreAttributes, store: int) -> tuple[Circle, ...]:
    """The circles of a store, the nearest first."""
    kind, assortment = int(attributes.kind[store]), int(attributes.assortment[store])
    return (kind, assortment), (kind,), ()
