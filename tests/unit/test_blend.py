"""The blend's weights."""

import numpy as np
import pytest

from lockgate.models import blend

RNG = np.random.default_rng(5)


def errors(spreads, rows=4000):
    return RNG.normal(size=(rows, len(spreads))) * np.array(spreads)


def fit(folds, shrinkage, shares=None):
    members = folds[0].shape[1]
    return blend.fit_weights(folds, shrinkage, np.full(members, 1 / members) if shares is None else shares)


def test_weights_are_never_negative_and_sum_to_one():
    for _ in range(20):
        weights = fit([errors(RNG.uniform(0.05, 0.5, size=4)) + RNG.normal(0, 0.05, size=4)], 0.0)
        assert weights.min() >= 0
        assert weights.sum() == pytest.approx(1)


def test_independent_members_are_weighted_by_their_precision():
    weights = fit([errors([0.1, 0.2])], 0.0)
    assert weights == pytest.approx([0.8, 0.2], abs=0.02)


def test_a_member_that_only_adds_error_gets_nothing():
    good = errors([0.1])
    assert fit([np.hstack([good, 2 * good + 0.1])], 0.0) == pytest.approx([1, 0])


def test_shrinkage_draws_towards_equal_shares():
    rows = errors([0.1, 0.2])
    far = [abs(fit([rows], shrinkage)[0] - 0.5) for shrinkage in (0.0, 0.3, 3.0, 1000.0)]
    assert far == sorted(far, reverse=True)
    assert far[-1] == pytest.approx(0, abs=1e-3)


def test_shrinkage_draws_towards_the_shares_that_are_given():
    shares = np.array([0.3, 0.3, 0.3, 0.1])
    rows = errors([0.1] * 4)
    assert fit([rows], 1000.0, shares) == pytest.approx(shares, abs=1e-3)
    same = np.hstack([rows[:, :1]] * 4)
    assert fit([same], 0.2, shares) == pytest.approx(shares, abs=1e-6)


def test_a_member_that_is_clearly_better_is_not_held_back_by_its_share():
    """The ridge of a chain that boosters only spoil, with the project's own shrinkage."""
    common, own = errors([0.08]), errors([0.03, 0.03, 0.03])
    boosters = common + own
    found = fit([np.hstack([boosters, common])], 0.2, np.array([0.3, 0.3, 0.3, 0.1]))
    blended = np.sqrt(np.mean((np.hstack([boosters, common]) @ found) ** 2))
    assert blended < 1.02 * np.sqrt(np.mean(common**2))


def test_members_that_forecast_the_same_share_equally():
    one = errors([0.1])
    assert fit([np.hstack([one, one, one])], 0.0) == pytest.approx([1 / 3] * 3, abs=1e-6)


def test_a_single_member_is_the_blend():
    assert fit([errors([0.3])], 0.1).tolist() == [1.0]


def test_no_weights_on_a_grid_are_better():
    """The subset search finds the optimum: nothing on a fine grid of the simplex has a smaller error."""
    rows = errors([0.04, 0.06, 0.12], rows=300) + np.array([0.02, -0.03, 0.0])
    best = np.mean((rows @ fit([rows], 0.0)) ** 2)
    grid = [(a, b, 1 - a - b) for a in np.linspace(0, 1, 41) for b in np.linspace(0, 1 - a, 41)]
    assert best <= min(np.mean((rows @ np.array(point)) ** 2) for point in grid) + 1e-9


def test_a_hard_fold_counts_no_more_than_an_easy_one():
    """Christmas must not decide alone: scaling a fold's errors changes nothing."""
    easy, hard = errors([0.02, 0.04]), errors([0.05, 0.02])
    scaled = 1.5 * hard
    assert fit([easy, scaled], 0.1) == pytest.approx(fit([easy, hard], 0.1))


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_weights_of_a_quantile_have_less_pinball_loss_than_any_other_on_a_grid(level):
    """Errors are forecast minus target; two members are biased to both sides, and the third is noise."""
    rng = np.random.default_rng(5)
    noise = rng.normal(size=2000)
    errors = np.column_stack([2 - noise, -2 - noise, rng.normal(size=2000) * 3])

    def pinball(weights):
        blended = errors @ weights
        return np.mean(np.where(blended < 0, -level * blended, (1 - level) * blended))

    equal = np.full(3, 1 / 3)
    found = blend.fit_quantile_weights([errors], 0.0, equal, level)
    grid = [np.array([a, b, 1 - a - b]) for a in np.linspace(0, 1, 21) for b in np.linspace(0, 1 - a, 21)]
    assert pinball(found) <= min(map(pinball, grid)) + 0.005
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


def test_the_weights_follow_the_loss_of_the_metric():
    """Of squared errors the first member is better, because it has no rare far errors; of absolute ones the second."""
    steady, far = errors([0.1]), errors([0.04])
    far[::50] = 1.0
    rows = [np.hstack([steady, far])]
    of = {quantile: blend.fit_loss_weights(rows, 0.0, np.full(2, 0.5), quantile)[1] for quantile in (None, 0.5)}
    assert of[None] < 0.4 < 0.7 < of[0.5]
