"""How the errors of a panel count in training: the loss follows the metric."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lockgate.models.booster import Objective
from lockgate.problem import metrics

Floats = NDArray[np.float64]

RELATIVE = ("rmspe", "mape", "smape")  # metrics whose errors are shares of each row's target


@dataclass(frozen=True)
class Loss:
    """Errors as shares of the target or in its unit, squared or absolute. Shares are capped (metrics.capped).

    With a `level`, the pinball loss of this quantile: an error below the target counts `level`, one above 1 - `level`.
    """

    relative: bool
    squared: bool
    level: float | None = None

    @classmethod
    def of(cls, metric: str) -> "Loss":
        """The loss of a metric."""
        found = metrics.METRICS[metric]
        if found.objective == "quantile":
            return cls(relative=False, squared=False, level=found.level)
        return cls(metric in RELATIVE, found.objective != "absolute")

    @property
    def objective(self) -> Objective:
        """The objective of a booster."""
        if self.level is not None:
            return "quantile"
        return "squared" if self.squared else "absolute"

    @property
    def quantile(self) -> float | None:
        """The quantile that has the least loss: 0.5, the median, of absolute errors; None, a mean, of squared ones."""
        return 0.5 if self.level is None and not self.squared else self.level

    def errors(self, actual: Floats, forecast: Floats) -> Floats:
        """The error of each row that counts; `forecast` is (rows,) or (rows, members)."""
        counts = self._counts(actual)
        actual, forecast = actual[counts], forecast[counts]
        if forecast.ndim == 2:
            actual = actual[:, None]
        return metrics.capped(forecast / actual - 1.0) if self.relative else forecast - actual

    def score(self, actual: Floats, forecast: Floats) -> float:
        """The size of the errors in the mean; lower is better. 0 without a row that counts."""
        errors = self.errors(actual, forecast)
        if not errors.size:
            return 0.0
        if self.level is not None:
            return float(np.mean(np.abs(errors) * self.share(errors)))
        return float(np.sqrt(np.mean(errors**2)) if self.squared else np.mean(np.abs(errors)))

    def share(self, errors: Floats) -> Floats:
        """What one unit of each error costs: all the same but for a quantile."""
        if self.level is None:
            return np.ones(errors.shape)
        return np.where(errors < 0, self.level, 1.0 - self.level)

    def _counts(self, actual: Floats) -> NDArray[np.bool_]:
        return actual != 0 if self.relative else np.ones(len(actual), dtype=np.bool_)
