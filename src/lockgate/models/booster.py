"""Shared by all boosters: interface, training task, and limits of a fit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Features = NDArray[np.float32] | NDArray[np.float64]

Objective = Literal["squared", "absolute", "quantile", "log_loss"]


@dataclass(frozen=True)
class Contributions:
    """What each feature adds to a base: their sum is a booster's output of the row, but for rounding.

    `values` are (rows, features), or (rows, classes, features) for more than two classes; `base` has no last axis.
    `of_margin`: they add up to log odds (of several classes: to logs), and not to probabilities.
    """

    base: Floats
    values: Floats
    of_margin: bool = False


class Booster(Protocol):
    """A fitted booster: raw outputs from features, and its own file format."""

    def raw(self, values: Features, threads: int) -> Floats:
        """Output for each row; the number of threads does not change it.

        A class task gives probabilities: of class 1, (rows,), for two classes; (rows, classes) for more.
        """

    def contributions(self, values: Features, threads: int) -> Contributions:
        """Contributions of the features to the output of each row: SHAP values of trees, exact terms of a line.

        The number of threads and the other rows do not change them.
        """

    def dump(self) -> bytes:
        """The library's own file; equal trainings give equal bytes."""

    def importances(self) -> Floats:
        """Gain of each feature, as shares that sum to 1 (or all 0)."""


class Learned(Protocol):
    """What a booster learns, of rows in one process (Task) or on workers (Blocks)."""

    @property
    def objective(self) -> Objective:
        """As in Task."""

    @property
    def level(self) -> float:
        """As in Task."""

    @property
    def classes(self) -> int:
        """As in Task."""


@dataclass(frozen=True)
class Task:
    """Rows to train or to score on: what a booster learns, the weight of each row, and the score of its outputs."""

    values: Features
    labels: Floats
    weights: Floats  # 1 on average
    score: Callable[[Floats], float]  # of raw outputs; lower is better
    objective: Objective = "squared"
    level: float = 0.5  # of objective "quantile": the share of targets below the forecast
    classes: int = 0  # of objective "log_loss", whose labels are places of classes; 0 for a regression


@dataclass(frozen=True)
class Budget:
    """Limits of a fit: maximum rounds, rounds without progress on the scored rows before it stops, seed and threads."""

    rounds: int
    patience: int
    seed: int
    threads: int


@dataclass(frozen=True)
class Fit:
    """A booster and its score after each round on the rows to score (empty without such rows).

    `after` gives the booster as it was after a number of rounds.
    """

    booster: Booster
    curve: tuple[float, ...]
    after: Callable[[int], Booster]


def split(found: Floats, of_margin: bool) -> Contributions:
    """Contributions from an array whose last axis has the features and then the base."""
    return Contributions(found[..., -1], found[..., :-1], of_margin)


def shares(gains: Floats) -> Floats:
    """Gains as shares of their sum."""
    total = gains.sum()
    return np.asarray(gains / total if total > 0 else np.zeros(len(gains)))
