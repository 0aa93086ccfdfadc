"""The raw rows of a request: a frame of pandas, or arrays by column, which take a tenth of its time for one row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class ArrayRows:
    """Rows as arrays by the name of the column, all of one length; at least one column. Read as a frame is read."""

    arrays: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __contains__(self, name: object) -> bool:
        return name in self.arrays

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    @property
    def columns(self) -> pd.Index:
        """The names of the columns."""
        return pd.Index(list(self.arrays))

    def frame(self) -> pd.DataFrame:
        """The rows as a frame."""
        return pd.DataFrame(dict(self.arrays), copy=False)


RawRows = pd.DataFrame | ArrayRows
