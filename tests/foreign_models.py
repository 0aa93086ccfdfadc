"""Models trained elsewhere, as docs/how-to/register.md describes: columns computed with pandas, saved by MLflow."""

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import xgboost

COLUMNS = (
    "Store", "DayOfWeek", "Year", "Month", "Day", "DayOfYear", "WeekOfYear", "Open", "Promo", "StateHoliday",
    "SchoolHoliday", "StoreType", "Assortment", "CompetitionDistance", "CompetitionDays", "Promo2", "Promo2Round",
)  # fmt: skip
USUAL = ("Store", "DayOfWeek", "Month", "Day", "DayOfYear", "Promo", "StateHoliday", "SchoolHoliday", "StoreType")


def table(rows: pd.DataFrame, stores: pd.DataFrame) -> pd.DataFrame:
    """The columns of rows (as in data/prepared), the way somebody else would compute them."""
    date = pd.to_datetime(rows["Date"])
    store = rows[["Store"]].merge(stores, on="Store", how="left").set_index(rows.index)
    opened = pd.to_datetime(
        {"year": store["CompetitionOpenSinceYear"], "month": store["CompetitionOpenSinceMonth"], "day": 1},
        errors="coerce",
    )
    january = pd.to_datetime({"year": store["Promo2SinceYear"], "month": 1, "day": 1}, errors="coerce")
    joined = january + pd.to_timedelta(7 * (store["Promo2SinceWeek"] - 1), unit="D")
    months = store["PromoInterval"].fillna("").str.replace("Sept", "Sep")
    starts = np.array([name in text.split(",") for name, text in zip(date.dt.strftime("%b"), months, strict=True)])
    columns = {
        "Store": rows["Store"],
        "DayOfWeek": date.dt.day_of_week + 1,
        "Year": date.dt.year,
        "Month": date.dt.month,
        "Day": date.dt.day,
        "DayOfYear": date.dt.day_of_year,
        "WeekOfYear": date.dt.isocalendar().week,
        "Open": 1,
        "Promo": rows["Promo"],
        "StateHoliday": rows["StateHoliday"].map({"0": 0, "a": 1, "b": 2, "c": 3}),
        "SchoolHoliday": rows["SchoolHoliday"],
        "StoreType": store["StoreType"].map({"a": 0, "b": 1, "c": 2, "d": 3}),
        "Assortment": store["Assortment"].map({"a": 0, "b": 1, "c": 2}),
        "CompetitionDistance": store["CompetitionDistance"],
        "CompetitionDays": (date - opened).dt.days,
        "Promo2": store["Promo2"],
        "Promo2Round": (store["Promo2"] == 1) & (date >= joined) & starts,
    }
    return pd.DataFrame(columns).astype("float64")


def lightgbm_booster(values: pd.DataFrame, labels: "pd.Series[float]", rounds: int = 60, **settings: Any) -> Any:
    quiet = {"verbose": -1, "num_leaves": 15, "min_data_in_leaf": 5, "learning_rate": 0.2, "num_threads": 1}
    return lightgbm.train(quiet | settings, lightgbm.Dataset(values, labels), rounds)


def xgboost_booster(values: pd.DataFrame, labels: "pd.Series[float]", rounds: int = 60) -> Any:
    return xgboost.train({"max_depth": 5, "nthread": 1}, xgboost.DMatrix(values, labels), rounds)


def catboost_booster(values: pd.DataFrame, labels: "pd.Series[float]", rounds: int = 60, **settings: Any) -> Any:
    plain = {"iterations": rounds, "depth": 4, "thread_count": 1, "verbose": 0, "allow_writing_files": False}
    return catboost.CatBoostRegressor(**plain | settings).fit(values, labels)


TRAIN = {"lightgbm": lightgbm_booster, "xgboost": xgboost_booster, "catboost": catboost_booster}


def encoded(texts: Sequence[str], numbers: Sequence[str]) -> Any:
    """Texts and numbers as columns for an estimator, as scikit-learn's documentation does it."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(texts)),
        (make_pipeline(SimpleImputer(), StandardScaler()), list(numbers)),
    )


def save_estimator(model: Any, folder: Path, values: pd.DataFrame, **more: Any) -> Path:
    """What `mlflow.sklearn.save_model` makes of it, saved by skops."""
    import mlflow

    trusted = [
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = mlflow.models.infer_signature(values, np.zeros(len(values)))
        how: dict[str, Any] = {"serialization_format": "skops", "skops_trusted_types": trusted}
        mlflow.sklearn.save_model(model, str(folder), signature=signature, pip_requirements=[], **how, **more)
    return folder


def save(model: Any, folder: Path, values: pd.DataFrame | None, **more: Any) -> Path:
    """What `mlflow.<flavor>.save_model` makes of it, with the signature of these values (None: without one)."""
    import mlflow

    library = next(name for name in TRAIN if type(model).__module__.startswith((name, f"_{name}")))
    flavor = importlib.import_module(f"mlflow.{library}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = None if values is None else mlflow.models.infer_signature(values, np.zeros(len(values)))
        flavor.save_model(model, str(folder), signature=signature, pip_requirements=[], **more)
    return folder


def sold(rows: pd.DataFrame, columns: Sequence[str], stores: pd.DataFrame) -> tuple[pd.DataFrame, "pd.Series[float]"]:
    """The rows that can be learned from: columns and sales."""
    kept = rows[rows["Sales"] > 0]
    return table(kept, stores)[list(columns)], kept["Sales"].astype("float64")
