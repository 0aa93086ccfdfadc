"""A random forest as a member: scikit-learn grows the trees, and arrays hold them. No pickle.

A value goes to the left if it is at most the threshold of the node, as in scikit-learn; a missing one goes where the
node sends it. The output of a row is the mean of its leaves.
"""

import io
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.models import forest_shap
from lockgate.models.booster import Budget, Contributions, Features, Fit, Floats, Task, shares, split

TREES = 200
MIN_ROWS_IN_LEAF = 3
FEATURE_SHARE = 0.4
MOST_ROWS_IN_TREE = 20_000
CHUNK = 2_048  # rows at a time
LEAF = -1


@dataclass(frozen=True)
class Forest:
    """The nodes of all trees, one after another; `left` and `right` are places in these arrays, LEAF in a leaf."""

    roots: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float32]  # (nodes, outputs)
    gains: Floats  # of each feature

    def raw(self, values: Features, threads: int) -> Floats:
        starts = range(0, len(values), CHUNK)
        parts = [self._outputs(np.asarray(values[start : start + CHUNK], dtype=np.float32)) for start in starts]
        found = np.concatenate(parts) if parts else np.zeros((0, self.value.shape[1]))
        return found[:, -1] if found.shape[1] < 3 else found

    def contributions(self, values: Features, threads: int) -> Contributions:
        rows = np.asarray(values, dtype=np.float32)
        found = np.asarray(self._as_lightgbm.predict(rows, pred_contrib=True, num_threads=threads), dtype=np.float64)
        several = self._as_lightgbm.num_model_per_iteration()
        return split(found.reshape(len(rows), several, -1) if several > 1 else found, of_margin=False)

    @cached_property
    def _as_lightgbm(self) -> Any:
        return forest_shap.as_lightgbm(self)

    def dump(self) -> bytes:
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    def importances(self) -> Floats:
        return shares(self.gains)

    def _outputs(self, values: NDArray[np.float32]) -> Floats:
        leaves = self._leaves(values)
        total = np.zeros((len(values), self.value.shape[1]))
        for tree in range(leaves.shape[1]):  # in this order, so that a row's sum does not depend on the batch
            total += self.value[leaves[:, tree]]
        return np.asarray(total / leaves.shape[1])

    def _leaves(self, values: NDArray[np.float32]) -> NDArray[np.int32]:
        """The leaf of each row in each tree, (rows, trees)."""
        node = np.tile(self.roots, (len(values), 1))
        rows = np.arange(len(values))[:, None]
        while True:
            inside = self.left[node] != LEAF
            if not inside.any():
                return node
            found = values[rows, np.where(inside, self.feature[node], 0)]
            to_left = np.where(np.isnan(found), self.missing_left[node], found <= self.threshold[node])
            node = np.where(inside, np.where(to_left, self.left[node], self.right[node]), node)


def fit(settings: None, train: Task, score: Task | None, budget: Budget) -> Fit:
    """Grow the trees on `train`; the curve is the one score on the rows to score. `budget.rounds` has no meaning."""
    found = _forest(_grown(train, budget))
    curve = () if score is None else (score.score(found.raw(score.values, budget.threads)),)
    return Fit(found, curve, lambda _: found)


def restore(content: bytes) -> Forest:
    """Read what `dump` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Forest(**{field.name: arrays[field.name] for field in fields(Forest)})


def _grown(train: Task, budget: Budget) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if train.objective == "log_loss" else RandomForestRegressor
    rows = len(train.labels)
    model = kind(
        TREES,
        min_samples_leaf=min(MIN_ROWS_IN_LEAF, max(rows // 10, 1)),
        max_features=FEATURE_SHARE,
        max_samples=min(rows, MOST_ROWS_IN_TREE),
        random_state=budget.seed,
        n_jobs=budget.threads,
    )
    labels = train.labels.astype(np.int64) if train.objective == "log_loss" else train.labels
    return model.fit(np.asarray(train.values, dtype=np.float32), labels, sample_weight=train.weights)


def _forest(model: Any) -> Forest:
    trees = [each.tree_ for each in model.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])]).astype(np.int32)

    def moved(name: str) -> NDArray[np.int32]:
        parts = [getattr(tree, name) for tree in trees]
        shifted = [np.where(part == LEAF, LEAF, part + root) for part, root in zip(parts, roots, strict=True)]
        return np.concatenate(shifted).astype(np.int32)

    values = np.concatenate([tree.value[:, 0, :] for tree in trees])
    if hasattr(model, "classes_"):
        values = values / values.sum(axis=1, keepdims=True)
    return Forest(
        roots,
        np.concatenate([np.maximum(tree.feature, 0) for tree in trees]).astype(np.int32),
        np.concatenate([tree.threshold for tree in trees]),
        moved("children_left"),
        moved("children_right"),
        np.concatenate([tree.missing_go_to_left for tree in trees]).astype(np.bool_),
        values.astype(np.float32),
        np.asarray(model.feature_importances_, dtype=np.float64),
    )
