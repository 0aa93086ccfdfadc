"""An estimator of scikit-learn from a file of skops, whose types are all on the list of `sklearn_types`. No pickle."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from lockgate.errors import GateRefused, IntegrityBroken
from lockgate.models.external_model import in_blocks
from lockgate.models.sklearn_types import FUNCTIONS, MADE_BY, TYPES

Floats = NDArray[np.float64]

SCHEMA = "schema.json"
LARGEST_SCHEMA = 1 << 28  # bytes: a forest of 500 trees has 3 MB
LARGEST_UNPACKED = 4 << 30  # bytes of all parts: the memory of the child that opens the file first
DEEPEST = 200
NO_CHILD = -1
HINT = "save it with skops.io.dump, and of types that are listed in docs/how-to/register.md, or convert it to ONNX"


@dataclass(frozen=True)
class SklearnModel:
    """A fitted regressor, or a classifier with probabilities."""

    estimator: Any

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(getattr(self.estimator, "feature_names_in_", ()))

    @property
    def classes(self) -> tuple[Any, ...]:
        return tuple(np.asarray(getattr(self.estimator, "classes_", ())).tolist())

    def raw(self, values: pd.DataFrame, threads: int) -> Floats:
        with threadpool_limits(limits=1):  # blocks are small, so that starting threads takes longer than the rows
            found = in_blocks(values, lambda rows: self.forecast(rows if self.names else rows.to_numpy()))
        return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found

    @cached_property
    def forecast(self) -> Any:
        """The method that gives the outputs."""
        if not self.classes:
            return self.estimator.predict
        if not hasattr(self.estimator, "predict_proba"):
            raise GateRefused(
                f"{type(self.estimator).__name__} gives no probabilities",
                hint="register a classifier with predict_proba, or one in a CalibratedClassifierCV",
            )
        return self.estimator.predict_proba


def restore(content: bytes) -> SklearnModel:
    """The estimator of a file.

    Raises GateRefused with the names of types that are not listed; IntegrityBroken for a file that is none of skops,
    and for trees that point outside of their arrays.
    """
    untrusted = sorted(_untrusted(_schema(content)))
    if untrusted:
        raise GateRefused(f"the model holds types that are not trusted: {', '.join(untrusted[:5])}", hint=HINT)
    import skops.io

    model = SklearnModel(skops.io.loads(content, trusted=sorted(TYPES | FUNCTIONS)))
    if not hasattr(model.estimator, "predict"):
        raise GateRefused(f"the file holds a {type(model.estimator).__name__} and no model", hint=HINT)
    for part in _parts(model.estimator):
        _check_tree(part)
        if isinstance(getattr(part, "n_jobs", None), int):
            part.n_jobs = None  # jobs would add up the trees of a forest in any order
    return model


def _schema(content: bytes) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            if file.getinfo(SCHEMA).file_size > LARGEST_SCHEMA:
                raise IntegrityBroken("the description in the model's file is too large", hint=HINT)
            if (size := sum(each.file_size for each in file.infolist())) > LARGEST_UNPACKED:
                raise IntegrityBroken(
                    f"the model's file unpacks to {size:,} bytes, {LARGEST_UNPACKED:,} at most are possible", hint=HINT
                )
            return json.loads(file.read(SCHEMA))
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        raise IntegrityBroken("the model's file is no file of skops", hint=HINT) from error


def _untrusted(schema: Any) -> set[str]:
    """The names of types and functions in a schema that are not listed, and the ways of making objects."""
    found = set()
    stack = [(schema, 0)]
    while stack:
        value, depth = stack.pop()
        if depth > DEEPEST:
            raise IntegrityBroken(f"the model's file has more than {DEEPEST} levels", hint=HINT)
        if isinstance(value, dict):
            if "__loader__" in value or "__class__" in value:
                found |= _faults(value)
            stack += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            stack += [(inner, depth + 1) for inner in value]
    return found


def _faults(node: dict[str, Any]) -> set[str]:
    loader, name = node.get("__loader__"), f"{node.get('__module__')}.{node.get('__class__')}"
    if loader == "FunctionNode":
        return set() if name in FUNCTIONS else {ascii(name)[1:-1]}
    return set() if name in TYPES and loader in MADE_BY else {ascii(name)[1:-1]}


def _parts(estimator: Any) -> Iterator[Any]:
    """The estimator and all objects that it holds, each once."""
    seen: set[int] = set()
    stack = [estimator]
    while stack:
        value = stack.pop()
        if id(value) in seen or isinstance(value, str | bytes | int | float | type | None):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list | tuple | set):
            stack += value
        elif isinstance(value, np.ndarray):
            stack += value.ravel().tolist() if value.dtype == object else []
        else:
            yield value
            stack += getattr(value, "__dict__", {}).values()


def _check_tree(part: Any) -> None:
    """Raise IntegrityBroken for a tree whose nodes point outside of it, or back: its compiled code does not check."""
    name = type(part).__name__
    if name == "TreePredictor":
        inner, children = part.nodes["is_leaf"] == 0, (part.nodes["left"], part.nodes["right"])
        categorical = inner & (part.nodes["is_categorical"] != 0)
        bitsets = min(len(part.binned_left_cat_bitsets), len(part.raw_left_cat_bitsets))
        is_outside = (part.nodes["bitset_idx"][categorical] >= bitsets).any()
    elif name == "Tree":
        inner, children = part.children_left != NO_CHILD, (part.children_left, part.children_right)
        is_outside = ((part.feature[inner] < 0) | (part.feature[inner] >= part.n_features)).any()
    else:
        if any(features != part.n_features_in_ for features in _features_of_trees(part)):
            raise IntegrityBroken("a tree of the model is damaged: it takes other columns", hint=HINT)
        return
    places = np.flatnonzero(inner)
    wrong = any(((side[inner] <= places) | (side[inner] >= len(inner))).any() for side in children)
    if not len(inner) or is_outside or wrong:
        raise IntegrityBroken("a tree of the model is damaged: a node points outside of it", hint=HINT)


def _features_of_trees(part: Any) -> Iterator[int]:
    """The number of features that each tree of an estimator takes; it must be that of the estimator."""
    if hasattr(part, "tree_"):
        yield part.tree_.n_features
    if type(part).__name__.startswith("GradientBoosting"):
        yield from (tree.tree_.n_features for tree in part.estimators_.ravel())
    for predictor in (each for stage in getattr(part, "_predictors", ()) for each in stage):
        if (predictor.nodes["feature_idx"] >= part.n_features_in_).any():
            yield -1
