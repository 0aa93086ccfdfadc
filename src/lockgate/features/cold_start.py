"""How much past each store has at an origin; one that never sold is expected to sell as its peers do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features.known_inputs import StoreAttributes
from lockgate.features.panel import Panel

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEW_DAYS = 84  # of sales: with fewer, little of a store's forecast is its own
SILENT_DAYS = 28  # without a sale: longer than any holiday, so the store was closed or its rows are missing


@dataclass(frozen=True)
class HistoryLength:
    """What there is to learn from, one entry a store, up to an origin."""

    sold: NDArray[np.int32]  # days with sales
    idle: NDArray[np.int32]  # days without any after the last of these; the whole past where there is none

    @property
    def none(self) -> Flags:
        """Stores that never sold."""
        return np.asarray(self.sold == 0)

    @property
    def little(self) -> Flags:
        """Stores that have sold on few days."""
        return (self.sold > 0) & (self.sold < FEW_DAYS)

    @property
    def stale(self) -> Flags:
        """Stores that have sold, but not of late."""
        return (self.sold > 0) & (self.idle > SILENT_DAYS)


def history_length(past: Panel) -> HistoryLength:
    """Count what each store has sold on, and since when it has not."""
    sold = ~np.isnan(past.log_sales)
    width = sold.shape[1]
    idle = np.where(sold.any(axis=1), sold[:, ::-1].argmax(axis=1), width)
    return HistoryLength(sold.sum(axis=1).astype(np.int32), idle.astype(np.int32))


def with_peers(coefficients: Floats, unknown: Flags, attributes: StoreAttributes) -> Floats:
    """Coefficients (stores, regressors) in which each unknown store has the mean of its peers.

    Peers are the known stores of its type and assortment; without any, those of its type; else all known stores.
    """
    found = coefficients.copy()
    kind, assortment = attributes.kind, attributes.assortment
    for store in np.flatnonzero(unknown):
        same_kind = ~unknown & (kind == kind[store])
        circles = (same_kind & (assortment == assortment[store]), same_kind, ~unknown)
        peers = next((circle for circle in circles if circle.any()), None)
        if peers is not None:
            found[store] = coefficients[peers].mean(axis=0)
    return found
