"""Contributions through a transform add up to the transformed sum, and what adds nothing stays nothing."""

import numpy as np
import pytest

from lockgate.forecaster.explanation import LIMITS, ROUNDING, Explanation, log_odds
from lockgate.models import attribution
from lockgate.models.booster import Contributions

RNG = np.random.default_rng(2)


def contributions(*shape: int, size: float = 1.0) -> Contributions:
    values = RNG.normal(size=shape) * size
    values[..., 0] = 0.0
    return Contributions(RNG.normal(size=shape[:-1]), values, of_margin=True)


def logistic(values):
    return 1 / (1 + np.exp(-values))


def softmax(values):
    powers = np.exp(values)
    return powers / powers.sum(axis=1, keepdims=True)


def test_a_log_that_doubles_by_one_feature_doubles_the_target():
    found = attribution.through_exp(Contributions(np.log([100.0]), np.log([[2.0, 1.0]])))
    assert found.base[0] == pytest.approx(100)
    assert found.values[0] == pytest.approx([100, 0])


@pytest.mark.parametrize("size", [1e-12, 1e-6, 1.0, 5.0])
@pytest.mark.parametrize(
    ("through", "transform"), [(attribution.through_exp, np.exp), (attribution.through_logistic, logistic)]
)
def test_contributions_through_a_transform_add_up(size, through, transform):
    given = contributions(50, 4, size=size)
    found = through(given)
    np.testing.assert_allclose(found.base, transform(given.base), rtol=1e-12)
    total = found.base + found.values.sum(axis=1)
    np.testing.assert_allclose(total, transform(given.base + given.values.sum(axis=1)), rtol=1e-10, atol=1e-12)
    assert not found.values[:, 0].any()


@pytest.mark.parametrize("size", [1e-12, 1e-6, 0.1])
def test_contributions_to_a_log_add_up(size):
    given = Contributions(np.full(50, 1.0), contributions(50, 4, size=size).values)
    found = attribution.through_log(given)
    total = found.base + found.values.sum(axis=1)
    np.testing.assert_allclose(total, np.log1p(given.values.sum(axis=1)), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("size", [1e-9, 1.0, 5.0])
def test_contributions_to_the_probability_of_a_class_add_up(size):
    given, chosen = contributions(50, 3, 4, size=size), RNG.integers(0, 3, 50)
    found = attribution.through_softmax(given, chosen)
    expected = softmax(given.base + given.values.sum(axis=2))[np.arange(50), chosen]
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), expected, rtol=1e-8, atol=1e-10)
    assert not found.values[:, 0].any()


def test_a_feature_that_raises_all_classes_alike_adds_nothing():
    given = Contributions(np.zeros((1, 3)), np.array([[[2.0, 1.0], [2.0, 0.0], [2.0, 0.0]]]), of_margin=True)
    found = attribution.through_softmax(given, np.array([0]))
    assert found.values[0, 0] == pytest.approx(0, abs=1e-12)
    assert found.values[0, 1] > 0.2


def explanation(scale, forecast, base, values, limits=0.0):
    return Explanation(
        np.array([forecast]), np.array([base]), np.array([values]), np.array([values]), ("a", "b"), ("x", "x"),
        {LIMITS: np.array([limits])}, scale,
    ).closed()  # fmt: skip


def test_factors_of_a_log_multiply_to_the_forecast_over_the_base():
    found = explanation("log", 150.0, 100.0, [70.0, -30.0], 10.0)
    shares = np.array([70.0, -30.0, 10.0]) * found.slope[0]
    assert np.exp(shares).prod() == pytest.approx(1.5)
    assert found.parts[ROUNDING][0] == 0


def test_shares_of_log_odds_add_up():
    found = explanation("probability", 0.8, 0.5, [0.2, 0.1])
    assert (np.array([0.2, 0.1]) * found.slope[0]).sum() == pytest.approx(log_odds(np.array(0.8)) - 0.0)


@pytest.mark.parametrize(("scale", "forecast"), [("number", 2.0), ("log", 0.0), ("probability", 1.0)])
def test_what_has_no_log_or_log_odds_has_no_shares_of_them(scale, forecast):
    assert np.isnan(explanation(scale, forecast, 0.5, [0.1, 0.1]).slope).all()


def test_contributions_by_origin_are_summed():
    assert explanation("number", 3.0, 0.0, [1.0, 2.0]).by_origin().contributions.tolist() == [[3.0]]
