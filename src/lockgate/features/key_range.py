"""Matrix products of a range of keys that equal, in every bit, those of all keys at once.

BLAS multiplies the rows of a matrix in pairs; it sums the last row of an odd number in another order. So the result of
a row depends, in its last bit, on the number of rows beside it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KeyRange:
    """A range of contiguous keys among all keys."""

    all_keys: int  # their number
    ends: bool  # the last of all keys is in the range

    def times(self, rows: Floats, weights: Floats) -> Floats:
        """`rows @ weights` of one row for each key of the range, as among the rows of all keys.

        The first row is repeated where a row would have no other beside it.
        """
        odd = self.ends and self.all_keys % 2 == 1
        repeated = 2 if odd and len(rows) == 1 < self.all_keys else (len(rows) + odd) % 2
        if not repeated:
            return np.asarray(rows @ weights)
        return np.asarray((np.concatenate([rows[:1]] * repeated + [rows]) @ weights)[repeated:])
