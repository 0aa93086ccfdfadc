"""Shared by all boosters: interface, training task (log sales relative to an offset), and limits of a fit."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lockgate.problem import metrics
from lockgate.problem.params import Offset, Target

__all__ = ["Booster", "Budget", "Features", "Fit", "Floats", "Offset", "Target", "Task", "log_forecast", "shares"]

Floats = NDArray[np.float64]
Features = NDArray[np.float32] | NDArray[np.float64]

SMALLEST_RATIO = 0.05


class Booster(Protocol):
    """A fitted booster: raw outputs from features, and its own file format."""

    def raw(self, values: Features, threads: int) -> Floats:
        """Output for each row; the number of threads does not change it."""

    def dump(self) -> bytes:
        """The library's own file; equal trainings give equal bytes."""

    def importances(self) -> Floats:
        """Gain of each feature, as shares that sum to 1 (or all 0)."""


@dataclass(frozen=True)
class Task:
    """Rows to train or to score on.

    target "log": the output is added to the offset. target "ratio": it is a factor on the offset's sales, and with
    the weights, squared error is the squared percentage error.
    """

    values: Features
    log_sales: Floats
    offset: Floats
    target: Target

    @property
    def labels(self) -> Floats:
        """The target of the booster."""
        rest = self.log_sales - self.offset
        return rest if self.target == "log" else np.exp(rest)

    @property
    def weights(self) -> Floats:
        """Weight of each row, 1 on average."""
        if self.target == "log":
            return np.ones(len(self.log_sales))
        weights = np.exp(2 * np.clip(self.offset - self.log_sales, -1.0, 1.0))
        return np.asarray(weights / weights.mean())

    def score(self, raw: Floats) -> float:
        """Capped RMSPE of these outputs as forecasts of sales."""
        return metrics.capped_rmspe(np.exp(self.log_sales), np.exp(log_forecast(raw, self.offset, self.target)))


@dataclass(frozen=True)
class Budget:
    """Limits of a fit: maximum rounds, rounds without progress on the scored rows before it stops, seed and threads."""

    rounds: int
    patience: int
    seed: int
    threads: int


@dataclass(frozen=True)
class Fit:
    """A booster and its capped RMSPE after each round on the rows to score (empty without such rows)."""

    booster: Booster
    curve: tuple[float, ...]


def log_forecast(raw: Floats, offset: Floats, target: Target) -> Floats:
    """Log sales from a booster's outputs."""
    return offset + (raw if target == "log" else np.log(np.maximum(raw, SMALLEST_RATIO)))


def shares(gains: Floats) -> Floats:
    """Gains as shares of their sum."""
    total = gains.sum()
    return np.asarray(gains / total if total > 0 else np.zeros(len(gains)))
