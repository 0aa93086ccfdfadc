"""CatBoost as a member: symmetric trees, saved as cbm."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import catboost
import numpy as np

from lockgate.models.booster import Budget, Features, Fit, Floats, Objective, Task, shares
from lockgate.problem.params import CatboostParams

VOLATILE = ("model_guid", "train_finish_time")  # metadata that differs between two equal trainings

OBJECTIVES: dict[Objective, str] = {"squared": "RMSE", "absolute": "MAE"}


@dataclass(frozen=True)
class CatboostBooster:
    """A fitted catboost.CatBoost."""

    model: catboost.CatBoost

    def raw(self, values: Features, threads: int) -> Floats:
        return np.asarray(self.model.predict(values, thread_count=threads), dtype=np.float64)

    def dump(self) -> bytes:
        metadata = self.model.get_metadata()
        for name in VOLATILE:
            metadata[name] = ""
        with TemporaryDirectory(prefix="lockgate-") as folder:
            path = Path(folder) / "catboost.cbm"
            self.model.save_model(str(path), format="cbm")
            return path.read_bytes()

    def importances(self) -> Floats:
        return shares(np.asarray(self.model.get_feature_importance(), dtype=np.float64))


def fit(params: CatboostParams, train: Task, score: Task | None, budget: Budget) -> Fit:
    """Fit on `train`; with rows to score, stop after `budget.patience` rounds without a better score.

    The library stops by its own squared error, because a metric in Python would take longer than the trees; the curve
    holds capped RMSPE.
    """
    constant = {"allow_const_label": True} if np.ptp(train.labels.astype(np.float32)) == 0 else {}
    model = catboost.CatBoost(_settings(params, budget, train.objective) | constant)
    data = catboost.Pool(train.values, train.labels, weight=train.weights)
    if score is None:
        model.fit(data)
        return Fit(CatboostBooster(model), ())
    watched = catboost.Pool(score.values, score.labels, weight=score.weights)
    model.fit(data, eval_set=watched, early_stopping_rounds=budget.patience, use_best_model=False)
    stages = model.staged_predict(score.values, thread_count=budget.threads)
    return Fit(CatboostBooster(model), tuple(score.score(np.asarray(raw, dtype=np.float64)) for raw in stages))


def restore(content: bytes) -> CatboostBooster:
    """Read what `dump` wrote."""
    model = catboost.CatBoost()
    model.load_model(blob=content)
    return CatboostBooster(model)


def _settings(params: CatboostParams, budget: Budget, objective: Objective) -> dict[str, Any]:
    return {
        "loss_function": OBJECTIVES[objective],
        "iterations": budget.rounds,
        "learning_rate": params.learning_rate,
        "depth": params.depth,
        "l2_leaf_reg": params.l2,
        "bootstrap_type": "Bernoulli",
        "subsample": params.row_share,
        "border_count": 128,
        "random_seed": budget.seed,
        "thread_count": budget.threads,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }
