"""Values of a request's column, in the types of pandas and of JSON, read one by one and once for all equal ones."""

import datetime

import numpy as np
import pandas as pd
import pytest

from lockgate.forecaster.input_values import MANY, distinct, numbers, plain

COLUMNS = {
    "integers": pd.Series([3, 1, 3]),
    "floats": pd.Series([1.5, np.nan, 1.5]),
    "texts": pd.Series(["b", "a", "b"]),
    "missing texts": pd.Series(["b", None, "b"]),
    "objects": pd.Series(["b", 1, 2.5, True, None, float("nan"), pd.NA, "", "1"], dtype=object),
    "dates": pd.Series([datetime.date(2015, 8, 1), pd.Timestamp("2015-08-02"), "2015-08-03"], dtype=object),
    "times": pd.Series(pd.to_datetime(["2015-08-01", None, "2015-08-01"])),
    "zoned": pd.Series(pd.to_datetime(["2015-08-01", "2015-08-02"]).tz_localize("Europe/Berlin")),
    "nullable": pd.Series([1, None, 3], dtype="Int64"),
    "flags": pd.Series([True, False, None], dtype="boolean"),
    "categories": pd.Series(["b", "a", "b"], dtype="category"),
    "without a hash": pd.Series([["list"], "a", {"a": 1}], dtype=object),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("count", [1, MANY])
def test_equal_values_are_read_once_and_each_row_has_its_own(name: str, count: int) -> None:
    column = pd.concat([COLUMNS[name]] * count, ignore_index=True)
    values, places = distinct(column)
    found = values if places is None else values[places]
    wanted = plain(column)
    missing = pd.isna(wanted)
    assert np.array_equal(pd.isna(found), missing)
    assert list(found[~missing]) == list(wanted[~missing])
    assert places is None or len(values) <= len(COLUMNS[name])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("1.5", 1.5),
        (True, 1.0),
        (10**400, np.inf),
        (None, np.nan),
        ("x", np.nan),
        (pd.NA, np.nan),
        (np.float32(2), 2.0),
    ],
)
def test_a_number_is_read_in_every_form(given: object, wanted: float) -> None:
    np.testing.assert_equal(numbers(np.array([given], dtype=object)), [wanted])
