"""Tree SHAP of a random forest, from its arrays alone: equal to Shapley values by their definition."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest

from lockgate.models import forest_shap, random_forest
from lockgate.models.booster import Budget, Task

FEATURES = 4


def task(classes: int) -> Task:
    """Rows with missing values, whose target depends on three of four features together."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(400, FEATURES)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan
    known = np.nan_to_num(values)
    target = known[:, 0] * known[:, 1] + known[:, 2] + 0.1 * rng.normal(size=400)
    labels = np.digitize(target, [-0.5, 0.5][2 - (classes - 1) :]).astype(np.float64) if classes else target
    return Task(values, labels, np.ones(400), lambda _: 0.0, "log_loss" if classes else "squared", classes=classes)


@pytest.fixture(scope="module", params=[0, 2, 3])
def grown(request):
    """A forest of scikit-learn, the same as arrays, and the rows."""
    given = task(request.param)
    model = random_forest._grown(given, Budget(1, 1, 1, 1))
    return model, random_forest._forest(model), given.values


def test_the_rows_of_each_node_follow_from_the_means_but_for_sides_of_one_mean(grown):
    model, forest, _ = grown
    trees = [each.tree_.weighted_n_node_samples for each in model.estimators_]
    expected = np.concatenate([rows / rows[0] for rows in trees])
    wrong = np.abs(forest_shap._rows(forest) / forest_shap.ROWS / expected - 1) > 0.01
    assert wrong.mean() < 0.001


def test_the_forest_as_lightgbm_gives_the_same_outputs(grown):
    _, forest, values = grown
    found = forest_shap.as_lightgbm(forest).predict(values, raw_score=True)
    np.testing.assert_allclose(found, forest.raw(values, 1), rtol=1e-12)


def test_the_values_are_shapley_values(grown):
    model, forest, values = grown
    found = forest.contributions(values[:3], 1)
    for row in range(3):
        np.testing.assert_allclose(found.values[row], shapley(model, values[row]), atol=1e-4)


def shapley(model, row):
    """Shapley values by their definition, of the game in which an unknown feature is averaged over a node's rows."""
    value = {known: _expected(model, row, set(known)) for size in range(FEATURES + 1) for known in _subsets(size)}
    columns = []
    for feature in range(FEATURES):
        others = [known for known in value if feature not in known]
        weights = [
            factorial(len(known)) * factorial(FEATURES - len(known) - 1) / factorial(FEATURES) for known in others
        ]
        gains = [value[tuple(sorted({*known, feature}))] - value[known] for known in others]
        columns.append(sum(weight * gain for weight, gain in zip(weights, gains, strict=True)))
    return np.array(columns).T if np.ndim(columns[0]) else np.array(columns)


def _subsets(size):
    return combinations(range(FEATURES), size)


def _expected(model, row, known):
    total = np.mean([_of_node(each.tree_, 0, row, known) for each in model.estimators_], axis=0)
    return total if len(total) > 2 else total[-1]


def _of_node(tree, node, row, known):
    left, right = tree.children_left[node], tree.children_right[node]
    if left == -1:
        value = tree.value[node, 0, :]
        return value / value.sum() if len(value) > 1 else value
    feature = tree.feature[node]
    if feature in known:
        missing = np.isnan(row[feature])
        goes_left = tree.missing_go_to_left[node] if missing else row[feature] <= tree.threshold[node]
        return _of_node(tree, left if goes_left else right, row, known)
    rows = tree.weighted_n_node_samples
    return (rows[left] * _of_node(tree, left, row, known) + rows[right] * _of_node(tree, right, row, known)) / rows[
        node
    ]
