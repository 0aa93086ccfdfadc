"""Leak suspects: columns that are the target in disguise, or predict it almost perfectly by themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 20_000
FOLDS = 3
ALMOST_ALL = 0.999  # of the target's variance: a column alone does not explain this honestly
RIGHT_CLASS = 0.995  # share of the rows, by a column alone
FREQUENT = 0.9  # share of a class from which the limit rises, since guessing this class is often right
MOST_NUMBERS = 60
LEAST_ROWS = 30
EQUAL = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Single:
    """How well a column alone predicts the target: R2, or the share of rows with the right class; and the limit."""

    column: str
    score: float
    limit: float
    is_target: bool = False

    @property
    def is_suspect(self) -> bool:
        """Whether the column predicts the target better than an honest one could."""
        return self.is_target or self.score > self.limit


@dataclass(frozen=True)
class Suspect:
    """A column that may be known only when the target is known, and why it is suspected."""

    column: str
    why: str
    is_part: bool = False  # of a sum that is the target


def suspects_of(columns: dict[str, Floats], target: Floats, classes: bool) -> list[Suspect]:
    """The suspects among columns of numbers or codes (NaN: missing). `classes`: the target is a code, too."""
    sampled, goal = _sample(columns, target)
    alone = [each for each in _singles(sampled, goal, classes) if each.is_suspect]
    found = [Suspect(each.column, _why(each, classes)) for each in alone]
    rest = {name: sampled[name] for name in sampled if name not in {each.column for each in alone}}
    return found if classes else found + _together(rest, goal)


def singles_of(columns: dict[str, Floats], target: Floats, classes: bool) -> list[Single]:
    """How well each column alone predicts the target; columns without two values are left out."""
    return _singles(*_sample(columns, target), classes)


def _sample(columns: dict[str, Floats], target: Floats) -> tuple[dict[str, Floats], Floats]:
    kept = np.flatnonzero(np.isfinite(target))
    kept = kept[:: max(1, -(-len(kept) // MOST_ROWS))]
    return {name: values[kept] for name, values in columns.items()}, target[kept]


def _singles(sampled: dict[str, Floats], goal: Floats, classes: bool) -> list[Single]:
    if len(goal) < LEAST_ROWS or len(np.unique(goal)) < 2:
        return []
    varying = {name: values for name, values in sampled.items() if len(np.unique(values[np.isfinite(values)])) > 1}
    limit = _limit(goal, classes)
    return [
        Single(name, _score(values, goal, classes), limit, not classes and _is_target(values, goal))
        for name, values in varying.items()
    ]


def _is_target(values: Floats, goal: Floats) -> bool:
    filled = np.isfinite(values)
    return bool(filled.mean() > 0.99 and (np.abs(values - goal)[filled] < EQUAL).all())


def _why(found: Single, classes: bool) -> str:
    if found.is_target:
        return "is equal to the target"
    if classes:
        return f"gives the right class in {found.score:.2%} of the rows by itself"
    return f"explains {found.score:.2%} of the target's variance by itself"


def _limit(goal: Floats, classes: bool) -> float:
    """The score above which a column is suspect; it is higher where one class is frequent."""
    if not classes:
        return ALMOST_ALL
    most = float(np.bincount(np.unique(goal, return_inverse=True)[1]).max() / len(goal))
    return RIGHT_CLASS if most <= FREQUENT else 1 - 0.02 * (1 - most)


def _score(values: Floats, goal: Floats, classes: bool) -> float:
    """The score of a tree on this column alone, out of fold.

    Of numbers also the squared correlation, which needs fewer rows to see a function of the target.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
    matrix, forecast = _matrix(values), np.empty_like(goal)
    for held in _folds(len(goal)):
        tree = kind(min_samples_leaf=2, max_leaf_nodes=2000, random_state=0).fit(matrix[~held], goal[~held])
        forecast[held] = tree.predict(matrix[held])
    if classes:
        return float((forecast == goal).mean())
    explained = 1 - ((goal - forecast) ** 2).sum() / ((goal - goal.mean()) ** 2).sum()
    return max(float(explained), *_squared_correlations(values, goal))


def _squared_correlations(values: Floats, goal: Floats) -> tuple[float, float]:
    """Of the numbers and of their ranks; 0 where one row in ten has none."""
    from scipy.stats import rankdata

    filled = np.isfinite(values)
    pair = values[filled], goal[filled]
    if filled.mean() < 0.9 or min(np.ptp(part) for part in pair) == 0:
        return 0.0, 0.0
    linear, ranks = np.corrcoef(*pair)[0, 1], np.corrcoef(*map(rankdata, pair))[0, 1]
    return float(linear**2), float(ranks**2)


def _together(columns: dict[str, Floats], goal: Floats) -> list[Suspect]:
    """Columns whose weighted sum is the target, such as two parts of a total."""
    full = {name: values for name, values in columns.items() if np.isfinite(values).all() and np.ptp(values) > 0}
    if len(goal) < LEAST_ROWS or not 2 <= len(full) <= min(MOST_NUMBERS, len(goal) // 3):
        return []
    matrix = np.column_stack([*full.values(), np.ones(len(goal))])
    scaled = matrix / np.maximum(np.abs(matrix).max(axis=0), 1e-12)
    weights, *_ = np.linalg.lstsq(scaled, goal, rcond=None)
    if np.abs(scaled @ weights - goal).max() > 1e-6 * max(1.0, float(np.abs(goal).max())):
        return []
    parts = [name for name, weight in zip(full, weights, strict=False) if abs(weight) > 1e-6 * np.abs(weights).max()]
    return [Suspect(name, f"is part of a sum that is the target ({' + '.join(parts)})", is_part=True) for name in parts]


def _folds(rows: int) -> list[NDArray[np.bool_]]:
    place = np.random.default_rng(0).integers(FOLDS, size=rows)
    return [place == fold for fold in range(FOLDS)]


def _matrix(values: Floats) -> Floats:
    """One column; a missing value is a value below all others."""
    column: Floats = np.where(np.isfinite(values), values, float(np.nanmin(values)) - 1).reshape(-1, 1)
    return column
