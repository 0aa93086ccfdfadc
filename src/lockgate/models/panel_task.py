"""What a booster learns of a panel: a target relative to an offset, in the scale of the recipe."""

import numpy as np
from numpy.typing import NDArray

from lockgate.features.scale import Scale
from lockgate.features.shared import Shared
from lockgate.features.training_rows import TrainingRows
from lockgate.models.booster import Task
from lockgate.models.loss import Loss
from lockgate.problem.params import Offset, Target

Floats = NDArray[np.float64]

SMALLEST_RATIO = 0.05
WIDEST = 1.0  # log weights of relative errors are clipped to -WIDEST .. WIDEST
WIDEST_ABSOLUTE = 3.0  # those of absolute errors, relative to their median


def task(rows: TrainingRows, offset: Offset, target: Target, loss: Loss, shared: Shared | None = None) -> Task:
    """The task of rows.

    target "log": a booster's output is added to the offset. target "ratio": it is a factor on the offset, in the unit
    of the target. A target that is learned in units of its key's level is always "log". The weights turn the booster's
    own error into the error of the loss. `shared` records, or replays, what the weights of all keys share.
    """
    base, scale, actual = rows.matrix.offsets[offset], rows.matrix.scale, rows.actual
    target = meaning(target, scale)
    rest = rows.target - base

    def score(raw: Floats) -> float:
        return loss.score(actual, scale.target(scaled_forecast(raw, base, target)))

    labels = rest if target == "log" else np.exp(rest)
    level = 0.5 if loss.level is None else loss.level
    return Task(
        rows.matrix.values, labels, _weights(rows, base, target, loss, shared or Shared()), score, loss.objective, level
    )


def meaning(target: Target, scale: Scale) -> Target:
    """The meaning of a booster's output in a scale: a ratio needs the log."""
    return target if scale.level is None else "log"


def scaled_forecast(raw: Floats, offset: Floats, target: Target) -> Floats:
    """Forecasts in the scale of the recipe from a booster's outputs."""
    return offset + (raw if target == "log" else np.log(np.maximum(raw, SMALLEST_RATIO)))


def _weights(rows: TrainingRows, offset: Floats, target: Target, loss: Loss, shared: Shared) -> Floats:
    power = 2 if loss.squared else 1
    if loss.relative:
        logs = np.clip(_log_unit(rows.matrix.scale, rows.target, offset, target, relative=True), -WIDEST, WIDEST)
    else:
        logs = _log_unit(rows.matrix.scale, rows.target, offset, target, relative=False)
        usual = shared.of("median of the log weights", lambda: np.median(logs))
        logs = np.clip(logs - usual, -WIDEST_ABSOLUTE, WIDEST_ABSOLUTE)
    weights = np.exp(power * logs)
    return np.asarray(weights / shared.of("mean weight", weights.mean))


def _log_unit(scale: Scale, scaled: Floats, offset: Floats, target: Target, *, relative: bool) -> Floats:
    """Log of the error in units of the loss that an error of 1 in a booster's output makes."""
    if scale.level is None:
        output = offset if target == "ratio" else scaled
        return output - scaled if relative else output
    size = np.abs(scaled) if relative else 1.0 / scale.level
    return -np.log(np.maximum(size, 1e-9))
