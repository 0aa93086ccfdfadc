"""Leak suspects: columns that are the target in disguise, or predict it almost perfectly by themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 20_000
FOLDS = 3
ALMOST_ALL = 0.999  # R2, or share of rows with the right class: a column alone does not reach this honestly
MOST_NUMBERS = 60
LEAST_ROWS = 30


@dataclass(frozen=True)
class Suspect:
    """A column that may be known only when the target is known, and why it is suspected."""

    column: str
    why: str


def suspects_of(columns: dict[str, NDArray[np.float64]], target: NDArray[np.float64], classes: bool) -> list[Suspect]:
    """The suspects among columns of numbers or codes (NaN: missing). `classes`: the target is a code, too."""
    kept = np.flatnonzero(np.isfinite(target))
    kept = kept[:: max(1, -(-len(kept) // MOST_ROWS))]
    goal = target[kept]
    if len(kept) < LEAST_ROWS or len(np.unique(goal)) < 2:
        return []
    sampled = {name: values[kept] for name, values in columns.items()}
    found = [suspect for name, values in sampled.items() if (suspect := _alone(name, values, goal, classes))]
    return found + (
        [] if classes else _together({name: sampled[name] for name in sampled if not _named(found, name)}, goal)
    )


def _alone(name: str, values: NDArray[np.float64], goal: NDArray[np.float64], classes: bool) -> Suspect | None:
    filled = np.isfinite(values)
    if len(np.unique(values[filled])) < 2:
        return None
    if filled.sum() >= 0.99 * len(goal) and (np.abs(values - goal)[filled] < 1e-9).all():
        return Suspect(name, "is equal to the target")
    score = _accuracy(values, goal) if classes else _explained(values, goal)
    if not score > _needed(goal, classes):
        return None
    measure = (
        f"gives the right class in {score:.2%} of the rows"
        if classes
        else f"explains {score:.2%} of the target's variance"
    )
    return Suspect(name, f"{measure} by itself")


def _needed(goal: NDArray[np.float64], classes: bool) -> float:
    """The score above which a column is suspect; it is higher where one class is frequent."""
    if not classes:
        return ALMOST_ALL
    most = float(np.bincount(np.unique(goal, return_inverse=True)[1]).max() / len(goal))
    return max(ALMOST_ALL, 1 - 0.02 * (1 - most)) if most > 0.9 else 0.995


def _explained(values: NDArray[np.float64], goal: NDArray[np.float64]) -> float:
    """R2 of the mean of the target among neighbours by value, out of fold."""
    from sklearn.tree import DecisionTreeRegressor

    forecast = np.empty_like(goal)
    for held in _folds(len(goal)):
        tree = DecisionTreeRegressor(min_samples_leaf=2, random_state=0).fit(_matrix(values)[~held], goal[~held])
        forecast[held] = tree.predict(_matrix(values)[held])
    return float(1 - ((goal - forecast) ** 2).sum() / ((goal - goal.mean()) ** 2).sum())


def _accuracy(values: NDArray[np.float64], goal: NDArray[np.float64]) -> float:
    """The share of rows with the right class, by a tree on this column alone, out of fold."""
    from sklearn.tree import DecisionTreeClassifier

    right = np.zeros(len(goal), dtype=bool)
    for held in _folds(len(goal)):
        tree = DecisionTreeClassifier(min_samples_leaf=2, random_state=0).fit(_matrix(values)[~held], goal[~held])
        right[held] = tree.predict(_matrix(values)[held]) == goal[held]
    return float(right.mean())


def _together(numbers: dict[str, NDArray[np.float64]], goal: NDArray[np.float64]) -> list[Suspect]:
    """Columns whose weighted sum is the target, such as two parts of a total."""
    names = [name for name, values in numbers.items() if np.isfinite(values).all() and np.ptp(values) > 0]
    if not 2 <= len(names) <= MOST_NUMBERS:
        return []
    matrix = np.column_stack([*(numbers[name] for name in names), np.ones(len(goal))])
    scales = np.maximum(np.abs(matrix).max(axis=0), 1e-12)
    weights, *_ = np.linalg.lstsq(matrix / scales, goal, rcond=None)
    if np.abs(matrix / scales @ weights - goal).max() > 1e-6 * max(1.0, float(np.abs(goal).max())):
        return []
    parts = [name for name, weight in zip(names, weights, strict=False) if abs(weight) > 1e-6 * np.abs(weights).max()]
    return [Suspect(name, f"is part of a sum that is the target ({' + '.join(parts)})") for name in parts]


def _folds(rows: int) -> list[NDArray[np.bool_]]:
    place = np.random.default_rng(0).integers(FOLDS, size=rows)
    return [place == fold for fold in range(FOLDS)]


def _matrix(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """One column; a missing value is a value below all others."""
    low = float(np.nanmin(values))
    return np.where(np.isfinite(values), values, low - 1).reshape(-1, 1)


def _named(found: list[Suspect], name: str) -> bool:
    return any(each.column == name for each in found)
