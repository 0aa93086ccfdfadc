"""Tree SHAP of a random forest: its arrays as trees of LightGBM, whose code computes the values.

A forest in a bundle holds the mean of each node, not its number of training rows. The mean of a node is that of its two
sides, weighted by their rows, so the share of each side follows from the three means; where both sides have the same
mean, each counts half.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import lightgbm
import numpy as np
from numpy.typing import NDArray

from lockgate.models.booster import Floats

if TYPE_CHECKING:
    from lockgate.models.random_forest import Forest

Ints = NDArray[np.int64]

LEAF = -1
ROWS = 2**30  # of a root: LightGBM counts rows as whole numbers
LEAST_SHARE = 1e-4  # of a side, against rounding of the means
MISSING_IS_NAN = 8  # a decision of LightGBM: NaN goes to the default side
DEFAULT_LEFT = 2


def as_lightgbm(forest: "Forest") -> lightgbm.Booster:
    """The forest as a LightGBM model: the sum of its trees is the forest's output, of class 1 for two classes."""
    outputs = range(forest.value.shape[1])[-1:] if forest.value.shape[1] < 3 else range(forest.value.shape[1])
    ends = np.append(forest.roots[1:], len(forest.feature))
    rows = _rows(forest)
    trees = [
        _tree(forest, rows, (int(root), int(end)), output)
        for root, end in zip(forest.roots, ends, strict=True)
        for output in outputs
    ]
    return lightgbm.Booster(model_str="\n".join([*_head(len(forest.gains), len(outputs)), *_numbered(trees), _END]))


def _rows(forest: "Forest") -> Ints:
    """Rows of each node, in proportion: those of a root are ROWS."""
    value = forest.value.astype(np.float64)
    found = np.zeros(len(value), dtype=np.int64)
    found[forest.roots] = ROWS
    level = forest.roots
    while len(level := level[forest.left[level] != LEAF]):
        left, right = forest.left[level], forest.right[level]
        share = _share_of_left(value[level], value[left], value[right])
        found[left] = np.maximum(np.round(found[level] * share).astype(np.int64), 1)
        found[right] = np.maximum(found[level] - found[left], 1)
        level = np.concatenate([left, right])
    return found


def _share_of_left(whole: Floats, left: Floats, right: Floats) -> Floats:
    """The share of a node's rows that go to the left, from the means, (nodes, outputs)."""
    apart = left - right
    size = (apart**2).sum(axis=1)
    share = ((whole - right) * apart).sum(axis=1) / np.where(size > 0, size, 1.0)
    return np.where(size > 0, np.clip(share, LEAST_SHARE, 1 - LEAST_SHARE), 0.5)


_END = "end of trees\n"


def _head(features: int, outputs: int) -> list[str]:
    names = " ".join(f"f{place}" for place in range(features))
    infos = " ".join(["[-1e300:1e300]"] * features)
    return [
        "tree", "version=v4", f"num_class={outputs}", f"num_tree_per_iteration={outputs}", "label_index=0",
        f"max_feature_idx={features - 1}", "objective=regression", f"feature_names={names}", f"feature_infos={infos}",
        "",
    ]  # fmt: skip


def _numbered(trees: list[str]) -> Iterator[str]:
    for place, tree in enumerate(trees):
        yield f"Tree={place}\n{tree}\n"


def _tree(forest: "Forest", rows: Ints, span: tuple[int, int], output: int) -> str:
    """The nodes of a tree as LightGBM writes them; a leaf is named by the complement of its place among leaves."""
    root, end = span
    nodes = np.arange(root, end)
    is_leaf = forest.left[root:end] == LEAF
    inside, leaves = nodes[~is_leaf], nodes[is_leaf]
    name = np.where(is_leaf, -np.cumsum(is_leaf), np.cumsum(~is_leaf) - 1)
    decision = MISSING_IS_NAN + DEFAULT_LEFT * forest.missing_left[inside]
    values = forest.value[leaves, output].astype(np.float64) / len(forest.roots)
    fields: dict[str, NDArray[np.generic]] = {
        "split_feature": forest.feature[inside],
        "threshold": forest.threshold[inside],
        "decision_type": decision,
        "left_child": name[forest.left[inside] - root],
        "right_child": name[forest.right[inside] - root],
        "leaf_value": values,
        "leaf_weight": rows[leaves],
        "leaf_count": rows[leaves],
        "internal_count": rows[inside],
    }
    lines = [f"{key}={' '.join(map(repr, array.tolist()))}" for key, array in fields.items() if array.size]
    return "\n".join([f"num_leaves={len(leaves)}", "num_cat=0", *lines, "is_linear=0", "shrinkage=1"])
