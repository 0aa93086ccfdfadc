"""Chooses rounds and weights on the inner folds, and collects the residuals of the blend there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.features.recipe import RIDGE
from lockgate.features.training_rows import TrainingRows
from lockgate.models import blend
from lockgate.models.conformal import Residuals
from lockgate.models.loss import Loss
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params
from lockgate.training.fitting import has_linear
from lockgate.training.folds import Fold

Floats = NDArray[np.float64]

SMALLEST_SCORE = 1e-12  # a score of 0 is possible: the target never changes
BOOSTER_SHARE = 3.0  # weights are shrunk towards these shares: 3 for each booster, 1 for the ridge


@dataclass(frozen=True)
class Choice:
    """Rounds of each booster, weights of all members, and the residuals of the blend on each fold."""

    rounds: Mapping[str, int]
    weights: Mapping[str, float]
    residuals: tuple[Residuals, ...]

    def blended(self, forecasts: Floats) -> Floats:
        """The blend of the members' forecasts, (rows, members) to (rows,)."""
        return blend.blend(forecasts, np.array(list(self.weights.values())))


def choose(folds: Sequence[Fold], params: Params) -> Choice:
    """Choose rounds and weights from the folds."""
    fewest = params.training.patience
    rounds = {name: best_round([fold.fits[name].curve for fold in folds], fewest) for name in folds[0].fits}
    choice = Choice(rounds, _weights(folds, params), ())
    residuals = tuple(
        Residuals(fold.window.key, residuals_of(fold.window, choice.blended(fold.forecasts)), fold.history)
        for fold in folds
    )
    return Choice(rounds, choice.weights, residuals)


def residuals_of(window: TrainingRows, forecast: Floats) -> Floats:
    """Target minus forecast, in the scale of the recipe."""
    return window.target - window.matrix.scale.scaled(forecast)


def best_round(curves: Sequence[Sequence[float]], fewest: int) -> int:
    """The number of rounds, at least `fewest`, with the lowest median score over the folds.

    Scores are relative to the best score of the fold. The median is used because the days around Christmas and New Year
    need few rounds in every year. There is a minimum because a few rounds too many cost little, but an untrained
    booster costs much. A fold that stopped early keeps its last score.
    """
    longest = max(len(curve) for curve in curves)
    relative = [np.asarray(curve) / max(min(curve), SMALLEST_SCORE) for curve in curves]
    padded = [np.pad(curve, (0, longest - len(curve)), mode="edge") for curve in relative]
    start = min(fewest, longest) - 1
    return start + int(np.argmin(np.median(padded, axis=0)[start:])) + 1


def _weights(folds: Sequence[Fold], params: Params) -> dict[str, float]:
    loss = Loss.of(params.problem.metric)
    errors = [loss.errors(fold.window.actual, fold.forecasts) for fold in folds]
    names = (*folds[0].fits, RIDGE)
    shares = np.array([*(BOOSTER_SHARE for _ in folds[0].fits), 1.0])[: len(names) if has_linear(params) else -1]
    errors = [each[:, : len(shares)] for each in errors]
    shrinkage = params.training.weight_shrinkage
    weights = blend.fit_loss_weights(errors, shrinkage, shares / shares.sum(), loss.quantile)
    if params.problem.prefer:
        weights = _preferred([weights, *np.eye(len(shares))], folds, params.problem.prefer)
    return dict.fromkeys(names, 0.0) | dict(zip(names, weights.tolist(), strict=False))


def _preferred(candidates: list[Floats], folds: Sequence[Fold], metrics: Sequence[str]) -> Floats:
    """The blend or the single member that is best by these metrics in the mean over the folds, the first preferred."""
    return min(candidates, key=lambda weights: _rank(weights, folds, metrics))


def _rank(weights: Floats, folds: Sequence[Fold], metrics: Sequence[str]) -> tuple[float, ...]:
    """Sizes of the errors by these metrics; a metric that has no score on a fold decides nothing."""
    sizes = []
    for name in metrics:
        of_folds = [
            METRICS[name].error(METRICS[name].score(fold.window.actual, fold.forecasts[:, : len(weights)] @ weights))
            for fold in folds
        ]
        sizes.append(float(np.nan_to_num(np.mean(of_folds), nan=0.0)))
    return tuple(sizes)
