"""The explanation of forecasts: what each feature and each later step adds, from a base up to the forecast."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scale = Literal["number", "log", "probability"]

# The parts: steps after the members, and what the libraries round.
RULE = "rule for rows that are not learned"
LIMITS = "limits of the forecast"
SHIFT = "level shift"
CALIBRATION = "calibration of probabilities"
ROUNDING = "rounding"
SMALL = 1e-5


@dataclass(frozen=True)
class Explanation:
    """For each row, `base`, the contributions of the features and the parts: they add up to the forecast.

    The forecast is that of `predict`, of several classes the probability of the most probable one. `origins` say what
    each feature is made of. `values` are those of the features, NaN for a term of a linear forecast. `scale` "log": the
    members learned a log, so contributions have factors, too. `classes`: whose probability it is; () for a number.
    """

    forecast: Floats  # (rows,)
    base: Floats
    contributions: Floats  # (rows, names)
    values: Floats
    names: tuple[str, ...]
    origins: tuple[str, ...]
    parts: Mapping[str, Floats]
    scale: Scale
    classes: tuple[str, ...] = ()

    def closed(self) -> "Explanation":
        """The same with the part ROUNDING: the difference of the sum from the forecast."""
        rest = self.forecast - self.base - self.contributions.sum(axis=1) - sum(self.parts.values())
        return replace(self, parts={**self.parts, ROUNDING: rest})

    @cached_property
    def slope(self) -> Floats:
        """What a contribution is multiplied by to be its share of the log of the forecast, or of the log odds; (rows,).

        So shares add up to the whole change from the base. NaN without log or log odds, and for a number that was not
        learned in logs.
        """
        if self.scale == "number":
            return np.full(len(self.forecast), np.nan)
        change = self.forecast - self.base
        middle = (self.forecast + self.base) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "log":
                logs = np.log(self.forecast / self.base)
                slope = np.where(np.abs(change) < SMALL * middle, 1 / middle, logs / change)
                possible = (self.forecast > 0) & (self.base > 0)
            else:
                inner = np.minimum(middle, 1 - middle)
                slope = np.where(
                    np.abs(change) < SMALL * inner,
                    1 / (middle * (1 - middle)),
                    (log_odds(self.forecast) - log_odds(self.base)) / change,
                )
                possible = (self.forecast > 0) & (self.forecast < 1) & (self.base > 0) & (self.base < 1)
        return np.where(possible, slope, np.nan)

    def by_origin(self) -> "Explanation":
        """The contributions summed by what the features are made of; without values."""
        names = tuple(dict.fromkeys(self.origins))
        found = np.zeros((len(self.base), len(names)))
        for place, origin in enumerate(self.origins):  # in this order, whatever the batch
            found[:, names.index(origin)] += self.contributions[:, place]
        return replace(self, contributions=found, values=np.full(found.shape, np.nan), names=names, origins=names)


def log_odds(probabilities: Floats) -> Floats:
    """Log odds, infinite at 0 and 1."""
    return np.asarray(np.log(probabilities) - np.log1p(-probabilities))
