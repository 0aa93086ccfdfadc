"""What each group of features costs is counted once, where somebody asks, and changes nothing else."""

import numpy as np
import pytest
import small_chain

from lockgate.forecast import featurecost, features, probe, profiles, trainreport
from lockgate.forecast.featurecost import costs, counting, group_of
from lockgate.forecast.known import cells, traits
from lockgate.forecast.panel import panel


@pytest.fixture
def clock(monkeypatch):
    """A CPU clock that stands still but for `work`."""
    now = [0.0]
    monkeypatch.setattr(featurecost, "process_time", lambda: now[0])

    def work(seconds):
        now[0] += seconds

    return work


def test_each_function_counts_for_its_group_and_what_it_calls_counts_for_it_once(clock):
    inner = costs("calendar")(lambda: clock(2.0))
    outer = costs("ridge")(lambda: (clock(1.0), inner()))
    with counting() as account:
        outer()
        inner()
        clock(100.0)
    outer()
    assert account.seconds == {"plans": 0.0, "calendar": 2.0, "stores": 0.0, "ridge": 3.0, "past sales": 0.0}


def test_a_function_that_fails_has_cost_what_it_had_and_the_next_one_counts(clock):
    @costs("plans")
    def fails():
        clock(1.0)
        raise ValueError

    with counting() as account:
        for _ in range(2):
            with pytest.raises(ValueError):
                fails()
    assert account.seconds["plans"] == 2.0


def test_every_feature_belongs_to_the_group_whose_function_makes_it():
    store_traits = traits(small_chain.chain().stores)
    history = panel(small_chain.parts().rows, store_traits.store_ids)
    profile = profiles.profiles(history, [history.last - 7], store_traits)[0]
    view, rows = features.lens(profile, store_traits, 7), cells(history.between(history.last - 6, history.last))
    made = {"plans": features._plans, "calendar": features._days, "stores": features._stores}
    for group, make in made.items():
        assert {group_of(name) for name in make(view, rows)} == {group}
    past = [name for name in features.FEATURES if group_of(name) in ("ridge", "past sales")]
    moving = [found.feature for found in probe.probe(history, store_traits, 42, 1) if found.youngest is not None]
    assert past == [name for name in moving if name not in probe.OFFSETS]


def test_counting_changes_no_number_and_each_group_costs_something():
    store_traits = traits(small_chain.chain().stores)
    history = panel(small_chain.parts().rows, store_traits.store_ids)
    rows = cells(history.between(history.last - 6, history.last))

    def made():
        profile = profiles.profiles(history, [history.last - 7], store_traits)[0]
        return features.matrix(features.lens(profile, store_traits, 7), rows).values

    with counting() as account:
        counted = made()
    assert np.array_equal(counted, made(), equal_nan=True)
    assert all(seconds > 0 for seconds in account.seconds.values())


def test_the_table_has_one_line_a_group_with_its_share_of_the_training_and_what_its_features_are_worth():
    _, report = small_chain.trained()
    account = featurecost.Account()
    account.seconds["ridge"] = report.cpu_seconds / 4
    table = trainreport.feature_costs(report, account).set_index("group")
    assert table.index[0] == "ridge"
    assert table.loc["ridge", "share_of_training"] == pytest.approx(0.25)
    assert table["features"].sum() == len(features.FEATURES)
    assert table["sum_of_rises"].sum() == pytest.approx(sum(report.rises.values()))
