"""Where a store stands is told by its last weeks, and not by what the whole chain felt or one odd day showed."""

import numpy as np
import pytest

from lockgate.features.store_panel import local_level as levels
from lockgate.features.store_panel.local_level import DAYS, HALF_LIFE_DAYS, LARGEST_RESIDUAL, PRIOR_DAYS

STORES = 1000
WEIGHTS = 0.5 ** (np.arange(DAYS - 1, -1, -1) / HALF_LIFE_DAYS)


def local_level(residuals):
    return levels.local_level(residuals, levels.residuals_of_days(residuals))


def missed(days=DAYS):
    """As expected, of every store and on every day."""
    return np.zeros((STORES, days))


def test_a_store_that_has_sold_a_tenth_more_is_believed_but_for_two_days_of_doubt():
    residuals = missed()
    residuals[3] = 0.1
    found = local_level(residuals)
    assert found[3] == pytest.approx(0.1 * WEIGHTS.sum() / (WEIGHTS.sum() + PRIOR_DAYS), rel=0.01)
    assert np.abs(np.delete(found, 3)).max() < 0.001


def test_a_day_counts_half_as_much_fourteen_days_later():
    earlier, later = missed(), missed()
    earlier[3, -15] = later[3, -1] = 0.1
    assert local_level(later)[3] == pytest.approx(2 * local_level(earlier)[3])


def test_what_the_whole_chain_sold_more_on_some_days_is_no_stores_level():
    residuals = missed()
    residuals[:, -10:] = 0.1
    assert np.abs(local_level(residuals)).max() < 0.001


def test_the_only_store_of_a_chain_has_a_level_all_the_same():
    assert 0.06 < local_level(np.full((1, DAYS), 0.1))[0] < 0.1


def test_one_odd_day_tells_no_more_than_the_largest_miss():
    odd, large = missed(), missed()
    odd[3, -5], large[3, -5] = -4.0, -LARGEST_RESIDUAL
    assert local_level(odd)[3] == pytest.approx(local_level(large)[3], rel=0.01)


def test_a_store_that_has_not_sold_of_late_stays_where_its_ridge_has_it():
    residuals = missed(DAYS + 60)
    residuals[3, :60], residuals[3, 60:] = 0.1, np.nan
    residuals[4, :60] = 0.1
    assert local_level(residuals)[3] == local_level(residuals)[4] == 0.0


def test_a_history_of_a_few_days_is_enough_and_none_is_no_level():
    few = missed(3)
    few[3] = 0.1
    assert 0.04 < local_level(few)[3] < 0.07
    assert np.array_equal(local_level(np.full((STORES, 3), np.nan)), np.zeros(STORES))
