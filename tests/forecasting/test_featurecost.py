"""What each group of features costs is counted once, where somebody asks, and changes nothing else."""

import numpy as np
import pytest
import small_chain

from lockgate.evaluation import perturbation
from lockgate.features import cost, matrix
from lockgate.features import history as features_history
from lockgate.features.cost import costs, counting, group_of
from lockgate.features.known_inputs import cells, traits
from lockgate.features.panel import panel
from lockgate.training import report as training_report


@pytest.fixture
def clock(monkeypatch):
    """A CPU clock that stands still but for `work`."""
    now = [0.0]
    monkeypatch.setattr(cost, "process_time", lambda: now[0])

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
    profile = features_history.profiles(history, [history.last - 7], store_traits)[0]
    view, rows = matrix.lens(profile, store_traits, 7), cells(history.between(history.last - 6, history.last))
    made = {"plans": matrix._plans, "calendar": matrix._days, "stores": matrix._stores}
    for group, make in made.items():
        assert {group_of(name) for name in make(view, rows)} == {group}
    past = [name for name in matrix.FEATURES if group_of(name) in ("ridge", "past sales")]
    moving = [found.feature for found in perturbation.probe(history, store_traits, 42, 1) if found.youngest is not None]
    assert past == [name for name in moving if name not in perturbation.OFFSETS]


def test_counting_changes_no_number_and_each_group_costs_something():
    store_traits = traits(small_chain.chain().stores)
    history = panel(small_chain.parts().rows, store_traits.store_ids)
    rows = cells(history.between(history.last - 6, history.last))

    def made():
        profile = features_history.profiles(history, [history.last - 7], store_traits)[0]
        return matrix.matrix(matrix.lens(profile, store_traits, 7), rows).values

    with counting() as account:
        counted = made()
    assert np.array_equal(counted, made(), equal_nan=True)
    assert all(seconds > 0 for seconds in account.seconds.values())


def test_the_table_has_one_line_a_group_with_its_share_of_the_training_and_what_its_features_are_worth():
    _, report = small_chain.trained()
    account = cost.Account()
    account.seconds["ridge"] = report.cpu_seconds / 4
    table = training_report.feature_costs(report, account).set_index("group")
    assert table.index[0] == "ridge"
    assert table.loc["ridge", "share_of_training"] == pytest.approx(0.25)
    assert table["features"].sum() == len(matrix.FEATURES)
    assert table["sum_of_rises"].sum() == pytest.approx(sum(report.rises.values()))
