"""Fits another library on the prepared rows of a problem and forecasts the holdout; run by peers.py in its own venv.

    python peer_models.py LIBRARY FOLDER

LIBRARY is hist_gradient_boosting, flaml or mlforecast. FOLDER holds rows.parquet, holdout.parquet, static.parquet and
peer.json (the problem and the CPU-seconds that the library may use). Writes LIBRARY.npy, the forecasts of the holdout's
rows in their order, and prints the CPU-seconds of fit and forecast. Imports nothing of Lockgate.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd

SEED = 1
THREADS = 2
MOST_CATEGORIES = 250  # HistGradientBoosting takes at most 255


@dataclass(frozen=True)
class Given:
    """The problem: its tables, the names of its columns, and the CPU-seconds of a fit."""

    rows: pd.DataFrame
    holdout: pd.DataFrame
    static: pd.DataFrame
    problem: dict[str, Any]
    cpu_seconds: float

    @classmethod
    def read(cls, folder: Path) -> "Given":
        """The tables and peer.json of a folder."""
        rows, holdout, static = (pd.read_parquet(folder / f"{name}.parquet") for name in ("rows", "holdout", "static"))
        asked = json.loads((folder / "peer.json").read_text())
        if where := asked["problem"]["where"]:
            rows = rows[rows[where["column"]] == where["equals"]]
        return cls(rows, holdout, static, asked["problem"], asked["cpu_seconds"])

    @property
    def target(self) -> str:
        return str(self.problem["target"])

    @property
    def keys(self) -> list[str]:
        return list(self.problem["keys"])

    @property
    def time(self) -> str:
        return str(self.problem["time"]["column"]) if self.problem["time"] else ""

    @property
    def classifies(self) -> bool:
        return bool(self.problem["task"] != "regression")

    def labels(self) -> Any:
        """What is learned: values, or 1 for the positive class."""
        target = self.rows[self.target]
        return (target.astype(str) == self.problem["positive"]).astype(int) if self.classifies else target


def columns_of(given: Given, rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of a request with the static table joined; a date becomes its parts, text becomes categories."""
    frame = rows.drop(columns=given.target)
    if len(given.static):
        frame = frame.merge(given.static, how="left", on=given.keys)
    for name in frame.select_dtypes("datetime").columns:
        date = frame.pop(name).dt
        parts = ("year", "month", "day", "dayofweek", "dayofyear", "hour")
        frame = frame.assign(**{f"{name}_{part}": getattr(date, part) for part in parts})
    return frame


def both_tables(given: Given) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Columns of rows and of holdout, with the same categories."""
    train, test = columns_of(given, given.rows), columns_of(given, given.holdout)
    for name in train.select_dtypes(exclude="number").columns:
        common = train[name].value_counts().index[:MOST_CATEGORIES]
        train[name], test[name] = (pd.Categorical(frame[name], categories=common) for frame in (train, test))
    return train, test


def hist_gradient_boosting(given: Given) -> Any:
    """scikit-learn's HistGradientBoosting on the problem's columns, with early stopping."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    train, test = both_tables(given)
    kind = HistGradientBoostingClassifier if given.classifies else HistGradientBoostingRegressor
    model = kind(random_state=SEED, categorical_features="from_dtype", early_stopping=True, max_iter=1000)
    model.fit(train, given.labels())
    return model.predict_proba(test)[:, 1] if given.classifies else model.predict(test)


def flaml(given: Given) -> Any:
    """FLAML's search over boosters and forests, for as long as our training took."""
    from flaml import AutoML

    train, test = both_tables(given)
    metric = {"roc_auc": "roc_auc", "pr_auc": "ap", "mape": "mape", "mae": "mae", "r2": "r2"}
    wanted = metric.get(given.problem["metric"], "log_loss" if given.classifies else "rmse")
    settings: dict[str, Any] = {"task": "classification" if given.classifies else "regression", "metric": wanted}
    if given.keys and not given.classifies:
        settings |= {"split_type": "group", "groups": given.rows[given.keys[0]].astype("category").cat.codes}
    model = AutoML()
    budget = max(given.cpu_seconds / THREADS, 10)
    model.fit(train, given.labels(), time_budget=budget, n_jobs=THREADS, seed=SEED, verbose=0, **settings)
    return model.predict_proba(test)[:, 1] if given.classifies else model.predict(test)


def mlforecast(given: Given) -> Any:
    """mlforecast with LightGBM: lags, rolling means and calendar, forecast recursively; unseen periods are filled."""
    import lightgbm
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean

    period = given.problem["time"]["period"]
    freq, lags, window, parts = {
        "day": ("D", [1, 7, 14, 28, 364], 7, ["dayofweek", "month", "day"]),
        "week": ("W-MON", [1, 2, 4, 52], 4, ["month", "week"]),
        "month": ("MS", [1, 3, 6, 12], 3, ["month"]),
        "hour": ("h", [1, 24, 168], 24, ["hour", "dayofweek"]),
    }[period]
    known = list(given.problem["known_covariates"])
    train, test = (_long(given, frame, known) for frame in (given.rows, given.holdout))
    model = MLForecast(
        models={
            "lgb": lightgbm.LGBMRegressor(
                n_estimators=500, learning_rate=0.05, num_leaves=63, verbose=-1, n_jobs=THREADS
            )
        },
        freq=freq,
        lags=lags,
        lag_transforms={1: [RollingMean(window)], lags[1]: [RollingMean(window)]},
        date_features=parts,
        num_threads=THREADS,
    )
    filled = _filled(train, freq, known)
    names = [name for name in filled.columns if name not in ("unique_id", "ds", "y", *known)]
    model.fit(filled, static_features=names)
    horizon = int(given.problem["horizon"])
    future = model.make_future_dataframe(horizon).merge(test.drop(columns="y"), how="left", on=["unique_id", "ds"])
    future[known] = future.groupby("unique_id")[known].ffill().fillna(0)
    found = model.predict(horizon, X_df=future[["unique_id", "ds", *known]])
    return test.merge(found, how="left", on=["unique_id", "ds"])["lgb"].fillna(train["y"].mean()).to_numpy()


def _long(given: Given, frame: pd.DataFrame, known: list[str]) -> pd.DataFrame:
    """mlforecast's form: unique_id, ds, y, known covariates as numbers, static features as numbers."""
    keyed = frame.merge(given.static, how="left", on=given.keys) if len(given.static) else frame
    out = pd.DataFrame({"unique_id": keyed[given.keys].astype(str).agg("|".join, axis=1), "ds": keyed[given.time]})
    out["ds"] = out["ds"].astype("datetime64[ns]")
    out["y"] = keyed[given.target].astype(float)
    static = [name for name in given.static.columns if name not in given.keys]
    for name in (*known, *static):
        values = keyed[name]
        numeric = pd.api.types.is_numeric_dtype(values)
        out[name] = values.astype(float) if numeric else pd.factorize(values.astype(str), sort=True)[0].astype(float)
    return out


def _filled(train: pd.DataFrame, freq: str, known: list[str]) -> pd.DataFrame:
    """Every period of each key up to the last one; the target of a missing period is the one before it."""
    last = train["ds"].max()
    parts = []
    for key, own in train.sort_values("ds").groupby("unique_id"):
        grid = pd.DataFrame({"unique_id": key, "ds": pd.date_range(own["ds"].min(), last, freq=freq)})
        parts.append(grid.merge(own.drop(columns="unique_id"), how="left", on="ds").ffill())
    return pd.concat(parts, ignore_index=True)


LIBRARIES: dict[str, Callable[[Given], Any]] = {
    "hist_gradient_boosting": hist_gradient_boosting,
    "flaml": flaml,
    "mlforecast": mlforecast,
}


def main(library: str, folder: Path) -> None:
    """Fit, forecast, write the forecasts, print the CPU-seconds."""
    given = Given.read(folder)
    started = process_time()
    found = LIBRARIES[library](given)
    np.save(folder / f"{library}.npy", np.asarray(found, dtype=np.float64))
    print(json.dumps({"cpu_seconds": round(process_time() - started, 1)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
