"""XGBoost as a member: histogram trees, saved as UBJSON."""

import json
from dataclasses import dataclass
from functools import cached_property
from os import cpu_count
from typing import Any

import numpy as np
import xgboost

from lockgate.models.booster import (
    Budget,
    Contributions,
    Features,
    Fit,
    Floats,
    Learned,
    Objective,
    Task,
    shares,
    split,
)
from lockgate.problem.params import XgboostParams

MAX_BIN = 128
PARALLEL_THREADS = min(cpu_count() or 1, 4)
OBJECTIVES: dict[Objective, str] = {
    "squared": "reg:squarederror",
    "absolute": "reg:absoluteerror",
    "quantile": "reg:quantileerror",
    "log_loss": "binary:logistic",
}


@dataclass(frozen=True)
class XgboostBooster:
    """A fitted xgboost.Booster, safe to call from many threads.

    The number of threads is a setting of the booster, not of a call, and is not saved. Changing it on a booster in use
    makes calls of other threads fail. So there is one booster for each number of threads, configured before its first
    use.
    """

    content: bytes  # UBJSON
    model: xgboost.Booster  # on one thread
    parallel: xgboost.Booster

    def raw(self, values: Features, threads: int) -> Floats:
        model = self.model if threads == 1 else self.parallel
        return np.asarray(model.inplace_predict(values, validate_features=False), dtype=np.float64)

    def contributions(self, values: Features, threads: int) -> Contributions:
        model = self.model if threads == 1 else self.parallel
        rows = xgboost.DMatrix(values, nthread=threads)
        found = np.asarray(model.predict(rows, pred_contribs=True, validate_features=False), dtype=np.float64)
        return split(found, self._has_classes)

    @cached_property
    def _has_classes(self) -> bool:
        objective: str = json.loads(self.model.save_config())["learner"]["objective"]["name"]
        return objective.startswith(("binary:", "multi:"))

    def dump(self) -> bytes:
        return self.content

    def importances(self) -> Floats:
        gains = self.model.get_score(importance_type="total_gain")
        return shares(
            np.array([gains.get(f"f{place}", 0.0) for place in range(self.model.num_features())], dtype=np.float64)
        )


def fit(params: XgboostParams, train: Task, score: Task | None, budget: Budget) -> Fit:
    """Fit on `train`; with rows to score, stop after `budget.patience` rounds without a better score."""
    data = xgboost.QuantileDMatrix(
        train.values, train.labels, weight=train.weights, max_bin=MAX_BIN, nthread=budget.threads
    )
    curve: list[float] = []
    watched: dict[str, Any] = {}
    if score is not None:
        watched = _watch(score, curve, data, budget)
    model = xgboost.train(settings(params, budget, train), data, num_boost_round=budget.rounds, **watched)
    return Fit(stored(model), tuple(curve), lambda rounds: stored(model[:rounds]))


def restore(content: bytes) -> XgboostBooster:
    """Read what `dump` wrote."""
    return XgboostBooster(content, _configured(content, 1), _configured(content, PARALLEL_THREADS))


def stored(model: xgboost.Booster) -> XgboostBooster:
    return restore(bytes(model.save_raw("ubj")))


def _configured(content: bytes, threads: int) -> xgboost.Booster:
    """A booster for calls with this number of threads; a first call completes its configuration."""
    model = xgboost.Booster({"nthread": threads}, model_file=bytearray(content))
    model.inplace_predict(np.zeros((1, model.num_features()), dtype=np.float32), validate_features=False)
    return model


def settings(params: XgboostParams, budget: Budget, train: Learned) -> dict[str, Any]:
    return {
        **_objective(train),
        "disable_default_eval_metric": True,
        "tree_method": "hist",
        "max_depth": params.depth,
        "eta": params.learning_rate,
        "min_child_weight": params.min_rows_in_leaf,
        "colsample_bytree": params.feature_share,
        "subsample": params.row_share,
        "lambda": params.l2,
        "max_bin": MAX_BIN,
        "seed": budget.seed,
        "nthread": budget.threads,
        "verbosity": 0,
    }


def _objective(train: Learned) -> dict[str, Any]:
    if train.classes > 2:
        return {"objective": "multi:softprob", "num_class": train.classes}
    level = {"quantile_alpha": train.level} if train.objective == "quantile" else {}
    return {"objective": OBJECTIVES[train.objective], **level}


def _watch(score: Task, curve: list[float], data: xgboost.QuantileDMatrix, budget: Budget) -> dict[str, Any]:
    def scored(raw: Floats, _: xgboost.DMatrix) -> tuple[str, float]:
        curve.append(score.score(np.asarray(raw, dtype=np.float64)))
        return "score", curve[-1]

    watched = xgboost.QuantileDMatrix(score.values, score.labels, ref=data, max_bin=MAX_BIN, nthread=budget.threads)
    stop = xgboost.callback.EarlyStopping(rounds=budget.patience, metric_name="score", maximize=False)
    return {"evals": [(watched, "score")], "custom_metric": scored, "callbacks": [stop], "verbose_eval": False}
