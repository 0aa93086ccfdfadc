"""The scale in which the members of a plain table learn a numeric target: as it is, or its log."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TargetScale = Literal["identity", "log"]

LARGEST_LOG = 700.0


def scaled(target: Floats, scale: TargetScale) -> Floats:
    """The target in the scale; the log needs a target above 0."""
    return np.log(target) if scale == "log" else target


def unscaled(output: Floats, scale: TargetScale) -> Floats:
    """The target of an output in the scale."""
    return np.exp(np.minimum(output, LARGEST_LOG)) if scale == "log" else output


def possible(target: Floats) -> tuple[TargetScale, ...]:
    """The scales that a target can be learned in: the log is for positive targets that differ by a factor of 3."""
    if len(target) and target.min() > 0 and target.max() > 3 * target.min():
        return ("log", "identity")
    return ("identity",)
