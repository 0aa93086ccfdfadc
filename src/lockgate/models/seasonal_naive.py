"""The seasonal naive baseline: the median of the store's similar days. Every candidate must be better."""

import pandas as pd

SEASON_DAYS = 364


def seasonal_naive(history: pd.DataFrame, rows: pd.DataFrame) -> "pd.Series[float]":
    """Median sales of the same store, weekday and promo over the last 364 days of history, indexed like `rows`.

    Without such days, the store's median is used, without the store the chain's. A closed row is 0.
    """
    recent = history[history["Date"] > history["Date"].max() - pd.Timedelta(days=SEASON_DAYS)]
    sold = _with_weekday(recent[(recent["Open"] == 1) & (recent["Sales"] > 0)])
    keys = ["Store", "weekday", "Promo"]
    usual = sold.groupby(keys)["Sales"].median().rename("usual")
    store = sold.groupby("Store")["Sales"].median().rename("store")
    keyed = _with_weekday(rows).join(usual, on=keys).join(store, on="Store")
    forecast = keyed["usual"].fillna(keyed["store"]).fillna(float(sold["Sales"].median()))
    return forecast.where(rows["Open"] != 0, 0.0).astype("float64")


def _with_weekday(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(weekday=rows["Date"].dt.day_of_week)
