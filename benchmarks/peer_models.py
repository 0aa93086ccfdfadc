"""Fits another library on the prepared rows of a problem and forecasts the holdout; run by peers.py in its own venv.

    python peer_models.py LIBRARY FOLDER

Writes LIBRARY.npy, the forecasts of the holdout's rows in their order, and prints the CPU-seconds and the columns that
the library got. Each library searches its settings on inner folds until the CPU-seconds in peer.json are used, at least
LEAST_CPU. Imports nothing of Lockgate.
"""

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peer_tables import PARTS, SEASON, SEED, YEAR, Given, both_tables, splits, windows

THREADS = 2
SMALL = 1_000_000  # values of a table
LEAST_CPU = 10.0  # a library may use this much even where our training takes less
MOST_CATEGORIES = 250  # HistGradientBoosting takes at most 255: the mean target stands for more
FREQUENCIES = {"hour": "h", "day": "D", "week": "W-MON", "month": "MS", "integer": 1}


def cpu_seconds() -> float:
    """CPU-seconds of this process and of its children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def count_cpu_as_time() -> None:
    """Let time.time() count CPU-seconds, so that a library's limit of time is one of CPU, whatever else runs here."""
    start = time.time()
    time.time = lambda: start + cpu_seconds()


def score(metric: str, actual: np.ndarray, forecast: np.ndarray) -> float:
    """The error by the problem's metric; lower is better."""
    from sklearn import metrics

    ranked = {"roc_auc": metrics.roc_auc_score, "pr_auc": metrics.average_precision_score}
    if metric in ranked:
        return -float(ranked[metric](actual, forecast))
    if metric == "log_loss":
        return float(metrics.log_loss(actual, forecast))
    counts = actual > 0 if metric in ("mape", "rmspe", "smape") else np.isfinite(actual)
    error = forecast[counts] - actual[counts]
    if metric in ("mape", "rmspe", "smape"):
        error = error / actual[counts]
    squared = metric not in ("mape", "smape", "mae", "wape", "mase", "median_absolute_error")
    return float(np.sqrt(np.mean(error**2)) if squared else np.mean(np.abs(error)))


def hist_gradient_boosting(given: Given) -> tuple[np.ndarray, str]:
    """scikit-learn's HistGradientBoosting: its defaults, then settings at random; the best on inner folds is fitted."""
    train, test, words = both_tables(given)
    labels, folds, rng = given.labels(), splits(given), np.random.default_rng(SEED)
    metric, actual = given.problem["metric"], given.forecasts(given.labels())
    best, best_error, longest, trials = {}, np.inf, 0.0, 0
    while trials == 0 or cpu_seconds() + 1.7 * longest < budget(given):
        started, settings = cpu_seconds(), _drawn(rng) if trials else {}
        errors = []
        for learned, scored in folds:
            model = _hist_gradient_boosting(given, train, settings).fit(train.iloc[learned], labels[learned])
            errors.append(score(metric, actual[scored], _output(given, model, train.iloc[scored])))
        if np.mean(errors) < best_error:
            best, best_error = settings, float(np.mean(errors))
        longest, trials = max(longest, cpu_seconds() - started), trials + 1
    model = _hist_gradient_boosting(given, train, best).fit(train, labels)
    return _output(given, model, test), f"{words}; the best of {trials} settings"


def _drawn(rng: np.random.Generator) -> dict[str, Any]:
    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return {
        "learning_rate": between(0.02, 0.2),
        "max_iter": int(between(50, 500)),
        "max_leaf_nodes": int(between(4, 64)),
        "min_samples_leaf": int(between(5, 100)),
        "l2_regularization": between(0.001, 30),
        "max_features": float(rng.uniform(0.3, 1.0)),
    }


def _hist_gradient_boosting(given: Given, train: pd.DataFrame, settings: dict[str, Any]) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import TargetEncoder

    usual: dict[str, Any] = {"random_state": SEED, "categorical_features": "from_dtype", "early_stopping": False}
    if given.classifies:
        model = HistGradientBoostingClassifier(**usual | settings)
    else:
        loss = "absolute_error" if given.problem["metric"] in ("mae", "mape", "wape", "mase") else "squared_error"
        model = HistGradientBoostingRegressor(**usual | settings, loss=loss)
    many = [name for name in train.select_dtypes("category") if train[name].cat.categories.size > MOST_CATEGORIES]
    encoder = TargetEncoder(target_type="binary" if given.classifies else "continuous", random_state=SEED)
    encoded = make_column_transformer((encoder, many), remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(encoded.set_output(transform="pandas"), model) if many else model


def _output(given: Given, model: Any, frame: pd.DataFrame) -> np.ndarray:
    if given.classifies:
        return np.asarray(model.predict_proba(frame))[:, 1]
    return given.forecasts(np.asarray(model.predict(frame)))


def flaml(given: Given) -> tuple[np.ndarray, str]:
    """FLAML's search over boosters and forests."""
    from flaml import AutoML

    train, test, words = both_tables(given)
    settings: dict[str, Any] = {"task": "classification" if given.classifies else "regression"}
    settings["metric"] = {"pr_auc": "ap", "rmspe": "mse"}.get(given.problem["metric"], given.problem["metric"])
    if given.in_logs:
        settings["metric"] = "rmse" if given.problem["metric"] == "rmspe" else "mae"
    if given.is_state:
        settings |= {"split_type": "group", "groups": given.groups()}
    model, left = AutoML(), budget(given) - cpu_seconds()
    count_cpu_as_time()
    model.fit(train, given.labels(), time_budget=left, n_jobs=threads(given), seed=SEED, verbose=0, **settings)
    return _output(given, model, test), f"{words}; chose {model.best_estimator}"


def autogluon(given: Given) -> tuple[np.ndarray, str]:
    """AutoGluon's boosters, forests and their weighted ensemble; of states, whole keys are its validation rows."""
    from autogluon.tabular import TabularPredictor

    train, test, words = both_tables(given)
    metric = {"pr_auc": "average_precision", "rmse": "root_mean_squared_error", "mape": "mean_absolute_error"}
    rows = train.assign(label=given.labels())
    later: dict[str, Any] = {}
    if given.is_state:
        learned, scored = splits(given)[0]
        rows, later["tuning_data"] = rows.iloc[learned], rows.iloc[scored]
    left = budget(given) - cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        kind = "binary" if given.classifies else "regression"
        predictor = TabularPredictor("label", kind, metric[given.problem["metric"]], path=folder, verbosity=0)
        count_cpu_as_time()
        predictor.fit(rows, time_limit=left, num_cpus=threads(given), num_gpus=0, **later)
        if given.classifies:
            return predictor.predict_proba(test)[1].to_numpy(), words
        return given.forecasts(predictor.predict(test).to_numpy()), words


def mlforecast(given: Given) -> tuple[np.ndarray, str]:
    """mlforecast with LightGBM, tuned by its own search on the last windows of the rows: lags, transforms, settings."""
    import lightgbm
    import optuna
    from mlforecast.auto import AutoMLForecast, AutoModel

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    period, horizon, known = given.period, int(given.problem["horizon"]), list(given.problem["known_covariates"])
    if where := given.problem["where"]:
        known.remove(where["column"])
    train, test = _long(given, known)
    filled = _filled(train, FREQUENCIES[period])
    loaded = cpu_seconds()
    static = [name for name in filled if name not in ("unique_id", "ds", "y", "weight", *known)]

    def loss(found: pd.DataFrame, train_df: pd.DataFrame, **_: Any) -> float:
        kept = found[found["weight"] > 0]
        return score(given.problem["metric"], kept["y"].to_numpy(), kept["model"].to_numpy())

    def enough(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        mean = (cpu_seconds() - loaded) / len(study.trials)
        if cpu_seconds() + 2.5 * mean > budget(given):  # another trial, and the fit of all rows
            study.stop()

    model = AutoMLForecast(
        {"lgb": AutoModel(lightgbm.LGBMRegressor(n_jobs=threads(given), random_state=SEED), _settings)},
        freq=FREQUENCIES[period],
        init_config=lambda trial: _features(trial, period, horizon, positive=bool((filled["y"] >= 0).all())),
        fit_config=lambda _: {"static_features": static, "dropna": False},
        num_threads=threads(given),
    )
    model.fit(
        filled,
        windows(given),
        horizon,
        1000,
        loss=loss,
        refit=True,
        weight_col="weight",
        optimize_kwargs={"callbacks": [enough], "catch": ValueError},
    )
    future = model.models_["lgb"].make_future_dataframe(horizon)
    future = future.merge(test[["unique_id", "ds", *known]], how="left", on=["unique_id", "ds"])
    future[known] = future.groupby("unique_id")[known].ffill().fillna(0)
    found = model.predict(horizon, X_df=future)
    trials = len(model.results_["lgb"].trials)
    words = f"lags, calendar, known and static columns, forecast step by step; the best of {trials} settings"
    joined = test.merge(found, how="left", on=["unique_id", "ds"])["lgb"]
    return joined.fillna(train["y"].mean()).to_numpy(), words


def _settings(trial: Any) -> dict[str, Any]:
    return {
        "verbosity": -1,
        "bagging_freq": 1,
        "learning_rate": trial.suggest_float("learning_rate", 0.03, 0.1, log=True),
        "n_estimators": trial.suggest_int("n_estimators", 100, 800, log=True),
        "num_leaves": trial.suggest_int("num_leaves", 8, 128, log=True),
        "min_child_samples": trial.suggest_int("min_child_samples", 5, 100, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 30.0, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.4, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "objective": trial.suggest_categorical("objective", ["l1", "l2"]),
    }


def _features(trial: Any, period: str, horizon: int, *, positive: bool) -> dict[str, Any]:
    """mlforecast's transforms of the target, lags, transforms of lags and parts of the date."""
    from mlforecast.lag_transforms import ExponentiallyWeightedMean, RollingMean
    from mlforecast.target_transforms import Differences, GlobalSklearnTransformer, LocalStandardScaler
    from sklearn.preprocessing import FunctionTransformer

    season, year = {"month": 12, "week": 52}.get(period, SEASON[period]), YEAR[period]
    logs = [GlobalSklearnTransformer(FunctionTransformer(np.log1p, np.expm1))] if positive else []
    transforms = {
        "logs": logs,
        "logs scaled": [*logs, LocalStandardScaler()],
        "change of logs": [*logs, Differences([1]), LocalStandardScaler()],
        "change of logs since the season": [*logs, Differences([season])],
    }
    lags = {
        "recent": list(range(1, season + 1)),
        "year": [1, season, 2 * season, year],
        "seasons": [season, 2 * season, 4 * season, year] if year > 4 * season else [season, season + 1, 2 * season],
    }
    means: dict[str, dict[int, list[Any]]] = {
        "recent": {1: [ExponentiallyWeightedMean(0.9), RollingMean(season, min_samples=1)]},
        "both": {
            1: [ExponentiallyWeightedMean(0.3), RollingMean(4 * season, min_samples=1)],
            horizon: [RollingMean(season, min_samples=1)],
        },
        "seasons": {
            season: [RollingMean(season, min_samples=1), RollingMean(4 * season, min_samples=1)],
            horizon: [RollingMean(4 * season, min_samples=1)],
        },
    }
    return {
        "target_transforms": transforms[trial.suggest_categorical("transforms", list(transforms))],
        "lags": sorted(set(lags[trial.suggest_categorical("lags", list(lags))])),
        "lag_transforms": means[trial.suggest_categorical("means", list(means))],
        "date_features": list(PARTS[period]),
    }


def _long(given: Given, known: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """mlforecast's form of rows and holdout: unique_id, ds, y, known and static columns as numbers, weight."""
    both = pd.concat([given.rows, given.holdout], ignore_index=True)
    if len(given.static):
        both = both.merge(given.static, how="left", on=given.keys)
    ids = both[given.keys].astype(str).agg("|".join, axis=1) if given.keys else "all"
    out = pd.DataFrame({"unique_id": ids, "ds": both[given.time], "y": both[given.target].astype(float)})
    if given.period != "integer":
        out["ds"] = out["ds"].astype("datetime64[ns]")
    for name in (*known, *(name for name in given.static if name not in given.keys)):
        numeric = pd.api.types.is_numeric_dtype(both[name])
        out[name] = both[name].astype(float) if numeric else pd.factorize(both[name].astype(str), sort=True)[0] * 1.0
    out["key"] = pd.factorize(out["unique_id"], sort=True)[0] * 1.0
    out["weight"] = 1.0
    return out[: len(given.rows)], out[len(given.rows) :]


def _filled(train: pd.DataFrame, freq: str | int) -> pd.DataFrame:
    """Every period of each key up to the last one; a period without a row has that before it, and no weight."""
    first, last = train["ds"].min(), train["ds"].max()
    every = np.arange(first, last + 1) if freq == 1 else pd.date_range(first, last, freq=freq)
    grid = pd.MultiIndex.from_product([sorted(train["unique_id"].unique()), every], names=["unique_id", "ds"])
    found = train.set_index(["unique_id", "ds"]).reindex(grid)
    found["weight"] = found["weight"].fillna(0.0)
    found = found.groupby(level=0).ffill().dropna(subset=["y"])
    return found.reset_index()


def threads(given: Given) -> int:
    """As of our training: one thread is as fast as several on a small table."""
    return 1 if given.rows.size < SMALL else THREADS


def budget(given: Given) -> float:
    """The CPU-seconds of a library."""
    return max(given.cpu_seconds, LEAST_CPU)


LIBRARIES: dict[str, Callable[[Given], tuple[np.ndarray, str]]] = {
    "hist_gradient_boosting": hist_gradient_boosting,
    "flaml": flaml,
    "autogluon": autogluon,
    "mlforecast": mlforecast,
}


def main(library: str, folder: Path) -> None:
    """Fit, forecast, write the forecasts, print the CPU-seconds and the columns."""
    given = Given.read(folder)
    os.environ |= {"OMP_NUM_THREADS": str(threads(given)), "OMP_WAIT_POLICY": "PASSIVE"}
    found, words = LIBRARIES[library](given)
    np.save(folder / f"{library}.npy", np.asarray(found, dtype=np.float64))
    print(json.dumps({"cpu_seconds": round(cpu_seconds(), 1), "columns": words}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
