"""Rows of two versions' forecasts in numbers that a hand can check."""

import pandas as pd

NAN = float("nan")
PAIRS = pd.DataFrame(
    {
        "Store": [1, 1, 2, 2],
        "Date": pd.to_datetime(["2015-06-22", "2015-06-23", "2015-06-22", "2015-06-23"]),  # a Monday and a Tuesday
        "Open": [1, 1, 1, 0],
        "Promo": [0, 1, 0, 1],
        "StoreType": ["a", "a", "c", "c"],
        "Assortment": ["b", "b", "b", "b"],
        "size": ["small", "small", None, None],
        "week": [1, 1, 1, 1],
        "first": [100.0, 200.0, 400.0, 0.0],
        "second": [104.0, 180.0, 400.0, 0.0],
        "Sales": [100.0, 200.0, NAN, 0.0],
    }
)
