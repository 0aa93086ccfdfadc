"""The loss of a training follows the metric."""

import numpy as np
import pytest

from lockgate.models.loss import Loss

ACTUAL, FORECAST = np.array([100.0, 200.0, 0.0]), np.array([110.0, 180.0, 5.0])


@pytest.mark.parametrize(
    ("metric", "objective", "score"),
    [
        ("rmspe", "squared", 0.1),
        ("mape", "absolute", 0.1),
        ("rmse", "squared", np.sqrt((100 + 400 + 25) / 3)),
        ("r2", "squared", np.sqrt((100 + 400 + 25) / 3)),
        ("mae", "absolute", 35 / 3),
        ("wape", "absolute", 35 / 3),
        ("mase", "absolute", 35 / 3),
        ("median_absolute_error", "absolute", 35 / 3),
        ("pinball_90", "quantile", (0.1 * 10 + 0.9 * 20 + 0.1 * 5) / 3),
        ("pinball_25", "quantile", (0.75 * 10 + 0.25 * 20 + 0.75 * 5) / 3),
    ],
)
def test_each_metric_has_its_errors_and_its_objective(metric, objective, score):
    """Errors in percent are of rows with a target other than zero; the others are of all rows."""
    loss = Loss.of(metric)
    assert loss.objective == objective
    assert loss.score(ACTUAL, FORECAST) == pytest.approx(score)


def test_errors_of_members_stand_side_by_side():
    forecasts = np.column_stack([FORECAST, ACTUAL])
    assert Loss.of("mae").errors(ACTUAL, forecasts).tolist() == [[10.0, 0.0], [-20.0, 0.0], [5.0, 0.0]]
    assert Loss.of("rmspe").errors(ACTUAL, forecasts) == pytest.approx(np.array([[0.1, 0.0], [-0.1, 0.0]]))


def test_a_wild_percentage_counts_as_half():
    assert Loss.of("rmspe").score(np.array([1.0]), np.array([50.0])) == 0.5


def test_rows_that_do_not_count_have_no_error():
    assert Loss.of("mape").score(np.zeros(2), np.ones(2)) == 0.0
