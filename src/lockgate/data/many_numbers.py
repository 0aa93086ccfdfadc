"""Many numbers of a column at once, as their column types read them one by one; a doubtful value is left to these."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

FEW = 200  # values; for fewer, reading each one is as fast
WHOLE = r"^-?[0-9]{1,18}(\.0+)?$"  # as column_types.WHOLE, within int64
DECIMAL = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"  # as column_types.DECIMAL
BLANK = r"^\s*$"


def whole(values: pa.Array, low: int, high: int) -> NDArray[np.int64] | None:
    """Whole numbers from texts or numbers; None if one of them is no whole number low..high."""
    if values.null_count or not len(values):
        return None
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type):
        found = values.to_numpy(zero_copy_only=False).astype(np.int64)
    elif _is_text(values) and pc.all(pc.match_substring_regex(values, WHOLE)).as_py():
        found = pc.replace_substring_regex(values, r"\.0+$", "").cast(pa.int64()).to_numpy(zero_copy_only=False)
    else:
        return None
    return found if found.min() >= low and found.max() <= high else None


def decimals(values: pa.Array, low: float, high: float) -> NDArray[np.float64] | None:
    """Finite numbers from texts or numbers; None if one of them is no finite number low..high."""
    if values.null_count or not len(values):
        return None
    if pa.types.is_integer(values.type) or pa.types.is_float32(values.type) or pa.types.is_float64(values.type):
        found = values.to_numpy(zero_copy_only=False).astype(np.float64)
    elif _is_text(values) and pc.all(pc.match_substring_regex(values, DECIMAL)).as_py():
        found = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    else:
        return None
    return found if np.isfinite(found).all() and found.min() >= low and found.max() <= high else None


def missing(values: pa.Array, texts: Sequence[str]) -> NDArray[np.bool_]:
    """The values that are missing: null, NaN, a blank text, or one of the texts."""
    if _is_text(values):
        named = pc.is_in(pc.utf8_trim_whitespace(values), value_set=pa.array(texts, values.type))
        found = pc.or_(pc.match_substring_regex(values, BLANK), named)
    elif pa.types.is_floating(values.type):
        found = pc.is_nan(values)
    else:
        found = pc.is_null(values)
    return np.asarray(pc.fill_null(found, True).to_numpy(zero_copy_only=False))


def _is_text(values: Any) -> bool:
    return bool(pa.types.is_string(values.type) or pa.types.is_large_string(values.type))
