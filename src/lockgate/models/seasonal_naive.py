"""The seasonal naive baseline: the median of the store's similar days. Every candidate must be better."""

import pandas as pd

from lockgate.problem.columns import KEY, OPEN, TARGET, TIME

SEASON_DAYS = 364


def seasonal_naive(history: pd.DataFrame, rows: pd.DataFrame) -> "pd.Series[float]":
    """Median sales of the same store, weekday and promo over the last 364 days of history, indexed like `rows`.

    Without such days, the store's median is used, without the store the chain's. A closed row is 0.
    """
    recent = history[history[TIME] > history[TIME].max() - pd.Timedelta(days=SEASON_DAYS)]
    sold = _with_weekday(recent[(recent[OPEN] == 1) & (recent[TARGET] > 0)])
    keys = [KEY, "weekday", "Promo"]
    usual = sold.groupby(keys)[TARGET].median().rename("usual")
    store = sold.groupby(KEY)[TARGET].median().rename("store")
    keyed = _with_weekday(rows).join(usual, on=keys).join(store, on=KEY)
    forecast = keyed["usual"].fillna(keyed["store"]).fillna(float(sold[TARGET].median()))
    return forecast.where(rows[OPEN] != 0, 0.0).astype("float64")


def _with_weekday(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(weekday=rows[TIME].dt.day_of_week)
