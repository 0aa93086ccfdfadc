"""The bar that a candidate must clear."""

import pandas as pd

from lockgate.models.seasonal_naive import seasonal_naive

HISTORY = pd.DataFrame(
    {
        "Store": [1, 1, 1, 1, 2],
        "Date": pd.to_datetime(["2015-01-05", "2015-01-12", "2015-01-19", "2013-01-07", "2015-01-06"]),
        "Sales": [100, 300, 0, 9000, 50],
        "Open": [1, 1, 0, 1, 1],
        "Promo": [0, 0, 0, 0, 1],
    }
)


def asked(store, date, promo=0, opened=1):
    return pd.DataFrame(
        {"Store": [store], "Date": pd.to_datetime([date]), "Open": [opened], "Promo": [promo]}, index=[7]
    )


def test_it_is_the_median_of_the_same_store_weekday_and_promo_of_the_last_364_days():
    assert seasonal_naive(HISTORY, asked(1, "2015-02-02")).to_dict() == {7: 200.0}


def test_a_combination_never_seen_takes_the_stores_median_and_a_new_store_the_chains():
    assert seasonal_naive(HISTORY, asked(2, "2015-02-02")).to_list() == [50.0]
    assert seasonal_naive(HISTORY, asked(3, "2015-02-02")).to_list() == [100.0]


def test_a_closed_day_is_zero():
    assert seasonal_naive(HISTORY, asked(1, "2015-02-02", opened=0)).to_list() == [0.0]
