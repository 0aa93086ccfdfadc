"""LightGBM as a member: leaf-wise trees, saved as text."""

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

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
from lockgate.problem.params import LightgbmParams

OBJECTIVES: dict[Objective, str] = {
    "squared": "regression",
    "absolute": "regression_l1",
    "quantile": "quantile",
    "log_loss": "binary",
}

CLASSES = ("binary", "multiclass")  # objectives of classes


@dataclass(frozen=True)
class LightgbmBooster:
    """A fitted lightgbm.Booster."""

    model: lightgbm.Booster

    def raw(self, values: Features, threads: int) -> Floats:
        return np.asarray(self.model.predict(values, num_threads=threads), dtype=np.float64)

    def contributions(self, values: Features, threads: int) -> Contributions:
        found = np.asarray(self.model.predict(values, pred_contrib=True, num_threads=threads), dtype=np.float64)
        several = self.model.num_model_per_iteration()
        found = found.reshape(len(values), several, -1) if several > 1 else found
        return split(found, self.model.params["objective"] in CLASSES)

    def dump(self) -> bytes:
        return str(self.model.model_to_string()).encode()

    def importances(self) -> Floats:
        return shares(np.asarray(self.model.feature_importance("gain"), dtype=np.float64))


def fit(params: LightgbmParams, train: Task, score: Task | None, budget: Budget) -> Fit:
    """Fit on `train`; with rows to score, stop after `budget.patience` rounds without a better score."""
    data = lightgbm.Dataset(train.values, train.labels, weight=train.weights, free_raw_data=True)
    curve: list[float] = []
    watched: dict[str, Any] = {}
    if score is not None:
        watched = _watch(score, curve, data, budget.patience)
    model = lightgbm.train(settings(params, budget, train), data, num_boost_round=budget.rounds, **watched)
    return Fit(LightgbmBooster(model), tuple(curve), lambda rounds: _after(model, rounds))


def _after(model: lightgbm.Booster, rounds: int) -> LightgbmBooster:
    return restore(str(model.model_to_string(num_iteration=rounds)).encode())


def restore(content: bytes) -> LightgbmBooster:
    """Read what `dump` wrote."""
    return LightgbmBooster(lightgbm.Booster(model_str=content.decode()))


def settings(params: LightgbmParams, budget: Budget, train: Learned) -> dict[str, Any]:
    return {
        **_objective(train),
        "metric": "None",
        "learning_rate": params.learning_rate,
        "num_leaves": params.leaves,
        "min_data_in_leaf": params.min_rows_in_leaf,
        "feature_fraction": params.feature_share,
        "bagging_fraction": params.row_share,
        "bagging_freq": 1,
        "lambda_l2": params.l2,
        "seed": budget.seed,
        "num_threads": budget.threads,
        "deterministic": True,
        "force_row_wise": True,
        "enable_bundle": False,  # features that exclude each other in the training rows may not in the scored rows
        "verbose": -1,
    }


def _objective(train: Learned) -> dict[str, Any]:
    if train.classes > 2:
        return {"objective": "multiclass", "num_class": train.classes}
    level = {"alpha": train.level} if train.objective == "quantile" else {}
    return {"objective": OBJECTIVES[train.objective], **level}


def _watch(score: Task, curve: list[float], data: lightgbm.Dataset, patience: int) -> dict[str, Any]:
    def scored(raw: Floats, _: lightgbm.Dataset) -> tuple[str, float, bool]:
        curve.append(score.score(raw))
        return "score", curve[-1], False

    watched = lightgbm.Dataset(score.values, score.labels, reference=data)
    stop = lightgbm.early_stopping(patience, verbose=False)
    return {"valid_sets": [watched], "feval": scored, "callbacks": [stop]}
