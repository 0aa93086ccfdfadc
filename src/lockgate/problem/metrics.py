"""Forecast errors: RMSPE, MAE, bias. Computed over the rows with sales above zero; NaN without such rows."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CAP = 0.5


def rmspe(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Root mean square percentage error as a share: sqrt(mean(((actual - forecast) / actual)^2)), as in Kaggle."""
    sold, predicted = _scored(actual, forecast)
    return float(np.sqrt(np.mean(((sold - predicted) / sold) ** 2))) if sold.size else float("nan")


def capped_rmspe(actual: ArrayLike, forecast: ArrayLike) -> float:
    """RMSPE with each row's percentage error clipped to CAP. Used to choose rounds and weights, not by the gate.

    A few rows (a store that closed an hour after opening) can cause most of a window's RMSPE; without the cap they
    would decide the choice by chance.
    """
    sold, predicted = _scored(actual, forecast)
    return float(np.sqrt(np.mean(capped(predicted / sold - 1.0) ** 2))) if sold.size else float("nan")


def capped(errors: Floats) -> Floats:
    """Percentage errors (as shares), clipped to -CAP .. CAP."""
    return np.clip(errors, -CAP, CAP)


def mae(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Mean absolute error, in the unit of the sales."""
    sold, predicted = _scored(actual, forecast)
    return float(np.mean(np.abs(sold - predicted))) if sold.size else float("nan")


def bias(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Sum of forecasts / sum of sales - 1: 0.02 means 2 % too high in total."""
    sold, predicted = _scored(actual, forecast)
    return float(np.sum(predicted) / np.sum(sold) - 1.0) if sold.size else float("nan")


def scored(actual: ArrayLike) -> NDArray[np.bool_]:
    """Whether each row is scored: its sales are above zero."""
    return np.asarray(actual, dtype=np.float64) > 0


def _scored(actual: ArrayLike, forecast: ArrayLike) -> tuple[Floats, Floats]:
    sold = np.asarray(actual, dtype=np.float64)
    predicted = np.asarray(forecast, dtype=np.float64)
    if sold.shape != predicted.shape:
        raise ValueError(f"{sold.shape} actual values, {predicted.shape} forecasts")
    counts = scored(sold)
    return sold[counts], predicted[counts]
