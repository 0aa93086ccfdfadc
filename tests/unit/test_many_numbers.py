"""Many numbers read together are those that are read one by one, and a doubtful one is left to the strict reader."""

import numpy as np
import pyarrow as pa
import pytest

from lockgate.data import column_types, many_numbers
from lockgate.data.column_types import CellFault, ColumnType, TextForm

WHOLE = ["0", "-7", "12", "12.0", "900719925474099", "3.000", "01", "-0"]
DECIMAL = ["0", "-7.25", "1e3", "1E-3", "0.1", "123456789.123456789", "5e-324", "1.7976931348623157e308", "-0.0"]
MISSING = ["", "  ", "NA", " NA "]
DOUBTFUL = ["x", "1_0", "+1", "1.", ".5", "1,5", "٣", "inf", "nan", "1e999", "--1", "1 ", " 1", "1\n", "9" * 30, "0x1"]

whole, decimal = column_types.whole(-(2**62), 2**62), column_types.decimal(float("-inf"), float("inf"))
optional_whole = column_types.optional(whole, ["NA"])
optional_decimal = column_types.optional(decimal, ["NA"])
TYPES = {"whole": whole, "decimal": decimal, "optional whole": optional_whole, "optional decimal": optional_decimal}


def one_by_one(of_column: ColumnType, texts: list[str]) -> list[float] | None:
    try:
        return [of_column.value(text) for text in texts]
    except CellFault:
        return None


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("texts", [WHOLE, DECIMAL, WHOLE + MISSING, DECIMAL + MISSING])
def test_together_is_as_one_by_one(name: str, texts: list[str]) -> None:
    of_column = TYPES[name]
    assert of_column.many is not None
    expected, found = one_by_one(of_column, texts), of_column.many(pa.array(texts))
    if expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("text", DOUBTFUL)
def test_a_doubtful_value_is_left_to_the_strict_reader_or_read_as_it_does(name: str, text: str) -> None:
    of_column = TYPES[name]
    assert of_column.many is not None
    found = of_column.many(pa.array(["1", text]))
    assert found is None or found.tolist() == one_by_one(of_column, ["1", text])


def test_numbers_of_parquet_out_of_range_missing_or_of_another_kind_are_left_to_the_strict_reader() -> None:
    small = column_types.whole(0, 5)
    assert small.many is not None
    assert small.many(pa.array([1, 5], pa.int8())).tolist() == [1, 5]
    for values in (pa.array([1, 6]), pa.array([1, None]), pa.array([1.5]), pa.array([True]), pa.array(["-1"])):
        assert small.many(values) is None
    assert optional_decimal.many is not None
    np.testing.assert_array_equal(optional_decimal.many(pa.array([1.5, np.nan, None])), [1.5, np.nan, np.nan])


def test_numbers_in_another_form_are_read_one_by_one() -> None:
    assert column_types.whole(0, 5, ",").many is None
    assert column_types.decimal(0, 5, ["kg"]).many is None
    assert column_types.decimal(0, 5, form=TextForm(",")).many is None
    assert many_numbers.whole(pa.array([], pa.string()), 0, 5) is None
