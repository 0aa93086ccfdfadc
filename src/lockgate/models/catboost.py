"""CatBoost as a member: symmetric trees, saved as cbm."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import catboost
import numpy as np

from lockgate.models.booster import Budget, Contributions, Features, Fit, Floats, Objective, Task, shares, split
from lockgate.problem.params import CatboostParams

VOLATILE = ("model_guid", "train_finish_time")  # metadata that differs between two equal trainings

OBJECTIVES: dict[Objective, str] = {"squared": "RMSE", "absolute": "MAE", "quantile": "Quantile", "log_loss": "Logloss"}


@dataclass(frozen=True)
class CatboostBooster:
    """A fitted catboost.CatBoost.

    The library writes the metadata of a model in an order that depends on how the model came to be. So a copy that was
    read or sent to another process keeps the bytes.
    """

    model: catboost.CatBoost
    content: bytes | None = None

    def __reduce__(self) -> tuple[Callable[[bytes], "CatboostBooster"], tuple[bytes]]:
        return restore, (self.dump(),)

    def raw(self, values: Features, threads: int) -> Floats:
        return _of_class_one(self.model.predict(values, self._output, thread_count=threads))

    @cached_property
    def _output(self) -> str:
        """The kind of output, which takes the library as long to find as the forecast of a row."""
        return _output(self.model)

    def contributions(self, values: Features, threads: int) -> Contributions:
        found = self.model.get_feature_importance(catboost.Pool(values), type="ShapValues", thread_count=threads)
        return split(np.asarray(found, dtype=np.float64), len(self.model.classes_) > 0)

    def dump(self) -> bytes:
        if self.content is not None:
            return self.content
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

    The library stops by its own error, because a metric in Python would take longer than the trees; the curve holds
    the task's score.
    """
    constant = {"allow_const_label": True} if np.ptp(train.labels.astype(np.float32)) == 0 else {}
    model = catboost.CatBoost(_settings(params, budget, train) | constant)
    data = catboost.Pool(train.values, train.labels, weight=train.weights)
    if score is None:
        model.fit(data)
        return Fit(CatboostBooster(model), (), lambda rounds: _after(model, rounds))
    watched = catboost.Pool(score.values, score.labels, weight=score.weights)
    model.fit(data, eval_set=watched, early_stopping_rounds=budget.patience, use_best_model=False)
    stages = model.staged_predict(score.values, _output(model), thread_count=budget.threads)
    curve = tuple(score.score(_of_class_one(raw)) for raw in stages)
    return Fit(CatboostBooster(model), curve, lambda rounds: _after(model, rounds))


def _after(model: catboost.CatBoost, rounds: int) -> CatboostBooster:
    shorter = model.copy()
    shorter.shrink(min(rounds, model.tree_count_))
    return CatboostBooster(shorter)


def restore(content: bytes) -> CatboostBooster:
    """Read what `dump` wrote."""
    model = catboost.CatBoost()
    model.load_model(blob=content)
    return CatboostBooster(model, content)


def _output(model: catboost.CatBoost) -> str:
    return "Probability" if len(model.classes_) else "RawFormulaVal"


def _of_class_one(output: Any) -> Floats:
    """The output as it is, but of two classes the probability of the second alone."""
    found = np.asarray(output, dtype=np.float64)
    return found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found


def _loss_function(train: Task) -> str:
    if train.classes > 2:
        return "MultiClass"
    level = f":alpha={train.level:g}" if train.objective == "quantile" else ""
    return OBJECTIVES[train.objective] + level


def _settings(params: CatboostParams, budget: Budget, train: Task) -> dict[str, Any]:
    return {
        "loss_function": _loss_function(train),
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
