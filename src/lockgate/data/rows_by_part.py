"""The rows of a table in parts with whole keys. Each part is read when it is needed, so few are in memory at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class RowsByPart:
    """The rows of a table, part by part in the order of the keys; all rows of a key are in one part.

    Each pass over the parts reads them again.
    """

    reads: tuple[Callable[[], pd.DataFrame], ...]

    @classmethod
    def of(cls, rows: "pd.DataFrame | RowsByPart") -> "RowsByPart":
        """A frame as the only part; parts as they are."""
        return rows if isinstance(rows, RowsByPart) else cls((lambda: rows,))

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (read() for read in self.reads)

    def __len__(self) -> int:
        return len(self.reads)

    def map(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> "RowsByPart":
        """The changed rows of each part. A single part is changed now and kept; several ones are in each pass."""
        if len(self) == 1:
            return RowsByPart.of(change(self.reads[0]()))
        return RowsByPart(tuple(_changed(read, change) for read in self.reads))

    def joined(self) -> pd.DataFrame:
        """All rows in memory."""
        frames = list(self)
        return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


Rows = pd.DataFrame | RowsByPart


def _changed(
    read: Callable[[], pd.DataFrame], change: Callable[[pd.DataFrame], pd.DataFrame]
) -> Callable[[], pd.DataFrame]:
    return lambda: change(read())
