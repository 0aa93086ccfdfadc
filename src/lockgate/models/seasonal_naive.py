"""The forecast that needs no model: what the store usually sells on such a day. Every candidate must beat it."""

import pandas as pd

SEASON_DAYS = 364


def seasonal_naive(history: pd.DataFrame, rows: pd.DataFrame) -> "pd.Series[float]":
    """Median sales of the same store, weekday and promo over the last 364 days of history, indexed like `rows`.

    A combination never seen takes the store's median, a store never seen the chain's; a closed row is 0.
    """
    recent = history[history["Date"] > history["Date"].max() - pd.Timedelta(days=SEASON_DAYS)]
    sold = _with_weekday(recent[(recent["Open"] == 1) & (recent["Sales"] > 0)])
    keys = ["Store", "weekday", "Promo"]
    usual = sold.groupby(keys)["Sales"].median().rename("usual")
    store = sold.groupby("Store")["Sales"].median().rename("store")
    asked = _with_weekday(rows).join(usual, on=keys).join(store, on="Store")
    forecast = asked["usual"].fillna(asked["store"]).fillna(float(sold["Sales"].median()))
    return forecast.where(rows["Open"] != 0, 0.0).astype("float64")


def _with_weekday(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(weekday=rows["Date"].dt.day_of_week)
