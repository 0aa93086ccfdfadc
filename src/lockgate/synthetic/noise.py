"""What nobody can know of the generated chain's sales in advance, and the best forecast in spite of it.

Log sales miss what the calendar says by two shocks: one of the day, which all stores feel and of which half is still
there the day after, and one of each store and day, now and then three times as wide.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARED_VARIANCE = 0.3  # of the noise: weather and the like, which the whole chain feels
PERSISTENCE = 0.5  # of a day's shock, what is left of it a day later
TAIL_SHARE, TAIL_WIDTH = 0.05, 3.0  # this share of a store's own shocks is so many times as wide


@dataclass(frozen=True)
class NoiseModel:
    """Two kinds of shocks that together spread log sales by `spread`."""

    spread: float

    @property
    def of_day(self) -> float:
        """Spread of the chain's shocks."""
        return float(self.spread * np.sqrt(SHARED_VARIANCE))

    @property
    def of_store(self) -> float:
        """Spread of a store's own shocks but for the wide ones."""
        return float(self.spread * np.sqrt((1 - SHARED_VARIANCE) / (1 + TAIL_SHARE * (TAIL_WIDTH**2 - 1))))

    def draw_days(self, days: int, rng: Generator) -> Floats:
        """The chain's shocks, one a day: each is half of the one before and something new."""
        new = rng.normal(0, self.of_day * np.sqrt(1 - PERSISTENCE**2), size=days)
        shocks = np.empty(days)
        shock = rng.normal(0, self.of_day)
        for day in range(days):
            shocks[day] = shock = PERSISTENCE * shock + new[day]
        return shocks

    def draw_own(self, shape: tuple[int, int], rng: Generator) -> Floats:
        """Each store's own shocks, (stores, days)."""
        widths = np.where(rng.random(shape) < TAIL_SHARE, TAIL_WIDTH, 1.0)
        return self.of_store * widths * rng.standard_normal(shape)

    def best_factor(self, ahead: Ints, shock: float) -> Floats:
        """What exp(what the calendar says) is multiplied by for the least RMSPE, so many days after a day's shock.

        A forecast f of sales y has the least mean of (1 - f / y) ** 2 at E[1 / y] / E[1 / y**2], which is a little
        below the expectation.
        """
        mean, variance = PERSISTENCE**ahead * shock, self._variance(ahead)
        return np.asarray(np.exp(mean - 1.5 * variance) * self._own_moment(1) / self._own_moment(2))

    def expected_floor(self, ahead: Ints) -> float:
        """The RMSPE that this forecast is expected to have over rows that are so many days ahead."""
        squared = 1 - np.exp(-self._variance(ahead)) * self._own_moment(1) ** 2 / self._own_moment(2)
        return float(np.sqrt(np.mean(squared)))

    def _variance(self, ahead: Ints) -> Floats:
        """Of the chain's shock, for somebody who knows that of so many days before."""
        return np.asarray(self.of_day**2 * (1 - PERSISTENCE ** (2.0 * ahead)))

    def _own_moment(self, power: int) -> float:
        """The mean of exp(-shock) ** power over a store's own shocks."""
        usual, wide = ((power * self.of_store * width) ** 2 / 2 for width in (1.0, TAIL_WIDTH))
        return float((1 - TAIL_SHARE) * np.exp(usual) + TAIL_SHARE * np.exp(wide))
