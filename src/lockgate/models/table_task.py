"""What a member learns of a plain table: a number in a scale, or the places of classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.models.booster import Features, Task
from lockgate.models.loss import Loss
from lockgate.models.target_scale import TargetScale, possible, scaled, unscaled

Floats = NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class Objective:
    """What the members of a problem learn: the loss of the metric in a scale, or, with classes, the log loss."""

    loss: Loss
    scale: TargetScale
    classes: int = 0  # 2 or more; 0 for a regression

    def task(self, values: Features, target: Floats) -> Task:
        """The task of rows with this target: values, or places of classes."""
        ones = np.ones(len(target))
        if self.classes:
            return Task(values, target, ones, lambda raw: log_loss(target, raw), "log_loss", classes=self.classes)
        labels = scaled(target, self.scale)
        level = 0.5 if self.loss.level is None else self.loss.level
        objective = self.loss.objective
        return Task(values, labels, ones, lambda raw: self.loss.score(target, self.forecast(raw)), objective, level)

    def forecast(self, raw: Floats) -> Floats:
        """The forecasts of a member's outputs: values, or probabilities as they are."""
        return raw if self.classes else unscaled(raw, self.scale)

    def errors(self, target: Floats, forecasts: Floats) -> Floats:
        """Errors for the weights of a blend, (rows, members): of values, or of each probability."""
        if not self.classes:
            return self.loss.errors(target, forecasts)
        truth = target if self.classes == 2 else one_hot(target, self.classes)
        errors = forecasts - truth[..., None]
        return errors.reshape(-1, forecasts.shape[-1])


def feature_target(target: Floats, classes: int) -> Floats:
    """The target as features learn it, (rows, outputs): a 0/1 column for each of several classes, or one column.

    A number is in the scale that suits its spread.
    """
    if classes > 2:
        return one_hot(target, classes)
    return (target if classes else scaled(target, possible(target)[0]))[:, None]


def one_hot(target: Floats, classes: int) -> Floats:
    """A 0/1 column for each class, (rows, classes)."""
    return np.asarray(target[:, None] == np.arange(classes), dtype=np.float64)


def log_loss(target: Floats, probabilities: Floats) -> float:
    """Mean log loss of the probability of class 1, (rows,), or of each class, (rows, classes); 0 without rows."""
    if not len(target):
        return 0.0
    if probabilities.ndim == 1:
        own = np.where(target == 1, probabilities, 1 - probabilities)
    else:
        own = probabilities[np.arange(len(target)), target.astype(np.int64)]
    return float(-np.log(np.maximum(own, SMALLEST_PROBABILITY)).mean())
