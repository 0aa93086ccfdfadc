"""Intervals by the level of the forecast."""

import numpy as np
import pytest

from lockgate.models import level_conformal


def capped(seed, rows=6000, cap=100.0):
    """Targets below a cap, and forecasts whose errors are wide in the middle and one-sided at the cap."""
    rng = np.random.default_rng(seed)
    life = rng.uniform(0, 200, rows)
    forecast = np.minimum(life, cap)
    spread = np.where(life > cap, np.where(rng.random(rows) < 0.15, 12.0, 0.3), 2 + 10 * np.sin(np.pi * forecast / cap))
    return np.minimum(forecast + spread * rng.standard_normal(rows), cap), forecast + rng.normal(0, 0.01, rows)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_contain_the_target_as_often_as_asked_at_each_level_of_the_forecast(confidence):
    found = level_conformal.calibrate(*capped(1), "identity")
    actual, forecast = capped(2)
    bounds = found.interval(forecast, "identity", confidence)
    covered = (bounds.lower <= actual) & (actual <= bounds.upper)
    for low, high in ((0, 30), (30, 60), (60, 90)):
        part = (low <= forecast) & (forecast < high)
        assert covered[part].mean() == pytest.approx(confidence, abs=0.05), (low, high)


def test_bounds_enclose_the_forecast_in_each_scale():
    rng = np.random.default_rng(3)
    actual = rng.lognormal(3, 1, 500)
    forecast = actual * rng.lognormal(0.3, 0.2, 500)  # too high for nearly all rows
    for scale in ("identity", "log"):
        bounds = level_conformal.calibrate(actual, forecast, scale).interval(forecast, scale, 0.5)
        assert (bounds.lower <= forecast).all()
        assert (forecast <= bounds.upper).all()


def test_a_table_with_few_rows_has_one_level():
    actual, forecast = capped(4, rows=40)
    found = level_conformal.calibrate(actual, forecast, "identity")
    assert found.quantiles.shape == (1, len(level_conformal.PROBABILITIES))


def test_quantiles_of_another_number_of_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="quantiles of 2 levels have the shape"):
        level_conformal.LevelCalibration(np.array([1.0, 2.0]), np.array([0.1, 0.2]), np.zeros(21))
