"""A refit learns more days and decides nothing."""

import pandas as pd
import pytest
import small_chain

from lockgate.bundle import store
from lockgate.errors import BadData
from lockgate.operations.refit import nested_params
from lockgate.training import refit
from lockgate.training.refit import EarlierTraining


@pytest.fixture(scope="module")
def earlier():
    return EarlierTraining(small_chain.params(), small_chain.trained()[1].rounds)


def refitted(earlier, rows):
    return refit.refit(small_chain.forecaster(), earlier, rows, small_chain.chain().stores, lambda *_: None)


def test_on_the_rows_that_it_came_from_it_is_the_same_forecaster(earlier, tmp_path):
    again = refitted(earlier, small_chain.parts().rows)
    digests = {store.save(made, tmp_path / "bundle") for made in (small_chain.forecaster(), again)}
    assert len(digests) == 1


def test_a_store_that_came_since_needs_a_training(earlier):
    stores = small_chain.chain().stores.replace({"Store": {12: 13}})
    with pytest.raises(BadData, match="of 13 keys, and not of those 12 that are known"):
        refit.refit(small_chain.forecaster(), earlier, small_chain.parts().rows, stores, lambda *_: None)


def test_on_the_holdout_too_it_knows_that_and_forecasts_the_days_after_it(earlier):
    parts = small_chain.parts()
    later = refitted(earlier, pd.concat([parts.rows, parts.holdout]).sort_values(["Store", "Date"], ignore_index=True))
    assert small_chain.trained_until(later) == parts.holdout["Date"].max().date()
    assert later.weights == small_chain.forecaster().weights
    assert len(later.problems(small_chain.asked())) == len(small_chain.asked())  # it has learned these days
    next_week = small_chain.asked().head(6).assign(Store=range(1, 7), Date="2015-08-05", Open=1, StateHoliday="0")
    assert (later.predict(next_week) / small_chain.forecaster().predict(next_week) - 1).max() < 0.3


def test_params_that_a_run_recorded_under_earlier_names_are_read_under_the_names_of_today():
    recorded = {
        "problem": "rossmann",
        "training.grids": "[0, 21]",
        "members.xgboost.calm": "False",
        "members.xgboost.offset": "habit",
    }
    assert nested_params(recorded) == {
        "problem": "rossmann",
        "training": {"cutoff_shifts": [0, 21]},
        "members": {"xgboost": {"remove_daily_residual": False, "offset": "group_mean"}},
    }
