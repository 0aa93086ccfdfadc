"""Arrays whose rows are on the workers, for libraries with a Dask interface of their own."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from distributed import Client as Client
    from distributed import Future as Future


def joined(
    parts: Sequence["Future"],
    shapes: Sequence[tuple[int, ...]],
    kind: type[np.generic],
    seen: Callable[[Any], Any] | None = None,
) -> Any:
    """A dask.array.Array from the futures of its parts: one chunk for each part, joined along the rows.

    A chunk is what `seen` returns of a part, the part itself without it.
    """
    from dask import array, delayed

    given = [delayed(seen, pure=True)(part) if seen else delayed(part) for part in parts]
    chunks = [array.from_delayed(each, shape, dtype=kind) for each, shape in zip(given, shapes, strict=True)]
    return array.concatenate(chunks, axis=0)
