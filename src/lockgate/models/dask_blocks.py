"""Training rows on the workers of a Dask cluster: one block a worker, for the libraries' own Dask interfaces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lockgate.engine import arrays
from lockgate.models.booster import Objective

if TYPE_CHECKING:
    from lockgate.engine.arrays import Client, Future


@dataclass(frozen=True)
class Block:
    """The rows of one worker: futures of values, labels and weights, all float32 and else as in a Task; their shape."""

    worker: str
    values: "Future"
    labels: "Future"
    weights: "Future"
    rows: int
    columns: int


@dataclass(frozen=True)
class Blocks:
    """What a booster learns on the workers: as a Task, but that the rows are in blocks. There is at least one block."""

    client: "Client"
    parts: Sequence[Block]
    objective: Objective
    level: float
    classes: int = 0  # a panel has none

    def arrays(self, seen: Callable[[Any], Any] | None = None) -> tuple[Any, Any, Any]:
        """Values, labels and weights as dask.array.Array, with one chunk a block; the values as `seen` returns them."""
        rows = [(each.rows,) for each in self.parts]
        shapes = [(each.rows, each.columns) for each in self.parts]
        return (
            arrays.joined([each.values for each in self.parts], shapes, np.float32, seen),
            arrays.joined([each.labels for each in self.parts], rows, np.float32),
            arrays.joined([each.weights for each in self.parts], rows, np.float32),
        )
