"""Noise of the generated chain, and the best possible forecast under this noise.

Log sales are the demand plus two shocks: one for each day, common to all stores and autocorrelated (0.5 a day), and one
for each store and day, with a heavy tail.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARED_VARIANCE = 0.3  # of the noise: common to the whole chain, such as weather
PERSISTENCE = 0.5  # autocorrelation of the daily shocks
TAIL_SHARE, TAIL_WIDTH = 0.05, 3.0  # share of a store's shocks with a larger standard deviation, and its factor


@dataclass(frozen=True)
class NoiseModel:
    """The distribution of both shocks; together they have the standard deviation `spread` in log sales."""

    spread: float

    @property
    def of_day(self) -> float:
        """Standard deviation of the daily shocks."""
        return float(self.spread * np.sqrt(SHARED_VARIANCE))

    @property
    def of_store(self) -> float:
        """Standard deviation of a store's shocks outside the tail."""
        return float(self.spread * np.sqrt((1 - SHARED_VARIANCE) / (1 + TAIL_SHARE * (TAIL_WIDTH**2 - 1))))

    def draw_days(self, days: int, rng: Generator) -> Floats:
        """Daily shocks of the chain, autocorrelated by PERSISTENCE."""
        new = rng.normal(0, self.of_day * np.sqrt(1 - PERSISTENCE**2), size=days)
        shocks = np.empty(days)
        shock = rng.normal(0, self.of_day)
        for day in range(days):
            shocks[day] = shock = PERSISTENCE * shock + new[day]
        return shocks

    def draw_own(self, shape: tuple[int, int], rng: Generator, of_sizes: Generator | None = None) -> Floats:
        """Each store's own shocks, (stores, days). Their sizes may come from a stream of their own."""
        widths = np.where(rng.random(shape) < TAIL_SHARE, TAIL_WIDTH, 1.0)
        return self.of_store * widths * (of_sizes or rng).standard_normal(shape)

    def best_factor(self, ahead: Ints, shock: float) -> Floats:
        """Multiplier of the noise-free sales that minimises expected RMSPE, `ahead` days after a known shock.

        A forecast f of sales y has the least mean of (1 - f / y) ** 2 at E[1 / y] / E[1 / y**2], which is a little
        below the expectation.
        """
        mean, variance = PERSISTENCE**ahead * shock, self._variance(ahead)
        return np.asarray(np.exp(mean - 1.5 * variance) * self._own_moment(1) / self._own_moment(2))

    def expected_floor(self, ahead: Ints) -> float:
        """Expected RMSPE of this forecast over rows that are `ahead` days ahead."""
        squared = 1 - np.exp(-self._variance(ahead)) * self._own_moment(1) ** 2 / self._own_moment(2)
        return float(np.sqrt(np.mean(squared)))

    def _variance(self, ahead: Ints) -> Floats:
        """Variance of a daily shock, given the shock `ahead` days before."""
        return np.asarray(self.of_day**2 * (1 - PERSISTENCE ** (2.0 * ahead)))

    def _own_moment(self, power: int) -> float:
        """The mean of exp(-shock) ** power over a store's own shocks."""
        usual, wide = ((power * self.of_store * width) ** 2 / 2 for width in (1.0, TAIL_WIDTH))
        return float((1 - TAIL_SHARE) * np.exp(usual) + TAIL_SHARE * np.exp(wide))
