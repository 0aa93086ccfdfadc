"""Length of each store's history; a store without any gets the mean coefficients of its peers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features.panel import Panel
from lockgate.features.store_panel.store_attributes import StoreAttributes

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

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


def with_peers(coefficients: Floats, unknown: Flags, attributes: StoreAttributes) -> Floats:
    """Coefficients (stores, regressors) in which each unknown store has the mean coefficients of its peers.

    Peers are the known stores of its type and assortment; without any, those of its type; else all known stores.
    """
    filled = coefficients.copy()
    kind, assortment = attributes.kind, attributes.assortment
    for store in np.flatnonzero(unknown):
        same_kind = ~unknown & (kind == kind[store])
        circles = (same_kind & (assortment == assortment[store]), same_kind, ~unknown)
        peers = next((circle for circle in circles if circle.any()), None)
        if peers is not None:
            filled[store] = coefficients[peers].mean(axis=0)
    return filled
