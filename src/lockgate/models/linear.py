"""A linear model as a member: ridge or logistic regression of scikit-learn on standardised columns, stored as arrays.

The rounds of its budget are steps on a path of penalties, from the strongest to the weakest: so the number of rounds
that the folds choose is the penalty. A missing value stands at the mean of its column; other values are limited to
WIDEST standard deviations, so that a value far outside the training rows does not carry the output away.
"""

import io
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lockgate.models.booster import Budget, Contributions, Features, Fit, Floats, Task, shares
from lockgate.system.single_thread import on_one_thread

PENALTIES = tuple(10.0**power for power in np.arange(4.0, -2.5, -0.5))
MOST_STEPS = 500  # of the logistic regression's solver
WIDEST = 6.0


@dataclass(frozen=True)
class Linear:
    """Means and spreads of the columns, coefficients and intercepts, one column an output."""

    mean: Floats
    spread: Floats
    coefficients: Floats  # (columns, outputs)
    intercepts: Floats  # (outputs,)
    is_class: Floats  # () 1.0 for probabilities

    def raw(self, values: Features, threads: int) -> Floats:
        standard = _standardised(values, self.mean, self.spread)
        # Column by column, because the sum of a matrix product depends on the number of rows.
        scores = np.tile(self.intercepts, (len(standard), 1))
        for place, coefficient in enumerate(self.coefficients):
            scores += standard[:, place, None] * coefficient
        if not self.is_class:
            return scores[:, 0]
        return 1 / (1 + np.exp(-scores[:, 0])) if scores.shape[1] == 1 else _softmax(scores)

    def contributions(self, values: Features, threads: int) -> Contributions:
        """Coefficient times the distance of the value from its mean in the training rows."""
        standard = _standardised(values, self.mean, self.spread)
        terms = standard[:, None, :] * self.coefficients.T
        base = np.tile(self.intercepts, (len(standard), 1))
        several = len(self.intercepts) > 1
        return Contributions(base if several else base[:, 0], terms if several else terms[:, 0], bool(self.is_class))

    def dump(self) -> bytes:
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        np.savez(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    def importances(self) -> Floats:
        return shares(np.abs(self.coefficients).sum(axis=1))


@on_one_thread
def fit(settings: None, train: Task, score: Task | None, budget: Budget) -> Fit:
    """Fit with the penalty of the budget's last round; with rows to score, the curve has a score for each penalty."""
    steps = min(budget.rounds, len(PENALTIES))
    if score is None:
        found = _fitted(train, PENALTIES[steps - 1])
        return Fit(found, (), lambda _: found)
    path = [_fitted(train, penalty) for penalty in PENALTIES[:steps]]
    curve = tuple(score.score(each.raw(score.values, 1)) for each in path)
    return Fit(path[-1], curve, lambda rounds: path[min(rounds, steps) - 1])


def restore(content: bytes) -> Linear:
    """Read what `dump` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Linear(**{field.name: arrays[field.name] for field in fields(Linear)})


def _fitted(train: Task, penalty: float) -> Linear:
    values = np.asarray(train.values, dtype=np.float64)
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / count)
    spread = np.where(spread > 1e-9 * np.maximum(np.abs(mean), 1.0), spread, np.inf)  # a constant column has no effect
    model = _model(train, penalty)
    labels = train.labels.astype(np.int64) if train.classes else train.labels
    model.fit(_standardised(values, mean, spread), labels, sample_weight=train.weights)
    coefficients = np.atleast_2d(model.coef_).T.astype(np.float64)
    intercepts = np.atleast_1d(model.intercept_).astype(np.float64)
    return Linear(mean, spread, coefficients, intercepts, np.asarray(float(train.classes > 0)))


def _model(train: Task, penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    if train.classes:
        return LogisticRegression(C=1 / penalty, max_iter=MOST_STEPS)
    return Ridge(alpha=penalty)


def _standardised(values: Features, mean: Floats, spread: Floats) -> Floats:
    standard = (np.asarray(values, dtype=np.float64) - mean) / spread
    return np.clip(np.nan_to_num(standard, nan=0.0, posinf=WIDEST, neginf=-WIDEST), -WIDEST, WIDEST)


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    total = np.zeros(len(scores))
    for column in powers.T:
        total += column
    return np.asarray(powers / total[:, None])
