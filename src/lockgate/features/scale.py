"""The scale in which a target is learned: its log, or the target in units of its key's level."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Scale:
    """The scale of rows or of keys. `level` has an entry for each; None: the log, which needs none.

    `floor` is the lowest forecast. `shift` is added to the target before its log.
    """

    level: Floats | None
    floor: float = -np.inf
    shift: float = 0.0

    def take(self, which: Ints) -> "Scale":
        """The scale of some entries, by place."""
        return Scale(None if self.level is None else self.level[which], self.floor, self.shift)

    @classmethod
    def join(cls, parts: Sequence["Scale"]) -> "Scale":
        """The entries of several scales of one recipe."""
        levels = [part.level for part in parts if part.level is not None]
        return cls(np.concatenate(levels) if levels else None, parts[0].floor, parts[0].shift)

    def scaled(self, target: Floats) -> Floats:
        """Targets in this scale, (entries, ...); NaN where a log does not exist."""
        if self.level is None:
            moved = target + self.shift if self.shift else target
            return np.log(moved, out=np.full(target.shape, np.nan), where=moved > 0)
        return target / self._level(target)

    def target(self, scaled: Floats) -> Floats:
        """Targets from values in this scale; the inverse of `scaled`."""
        if self.level is None:
            return np.maximum(np.exp(scaled) - self.shift, self.floor) if self.shift else np.exp(scaled)
        return np.maximum(scaled * self._level(scaled), self.floor)

    def moved(self, target: Floats, by: Floats) -> Floats:
        """Targets that are larger by this much in the scale."""
        if self.level is None:
            return np.maximum((target + self.shift) * np.exp(by) - self.shift, self.floor)
        return np.maximum(target + by * self._level(target), self.floor)

    def _level(self, like: Floats) -> Floats:
        level = np.ones(len(like)) if self.level is None else self.level
        return level.reshape(-1, *[1] * (like.ndim - 1))


LOG = Scale(None, 0.0)
