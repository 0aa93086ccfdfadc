"""The scale of a target: log, moved log, or units of a level."""

import numpy as np
import pytest

from lockgate.features.scale import LOG, Scale

TARGETS = np.array([3.0, 10.0, 0.5, 70.0])
SCALES = {
    "log": LOG,
    "moved log": Scale(None, 0.0, 2.0),
    "level": Scale(np.array([2.0, 5.0, 1.0, 60.0])),
}
every_scale = pytest.mark.parametrize("scale", SCALES.values(), ids=list(SCALES))


@every_scale
def test_a_target_comes_back_from_its_scale(scale):
    assert scale.target(scale.scaled(TARGETS)) == pytest.approx(TARGETS)


@every_scale
def test_a_target_moved_in_the_scale_lies_as_far_away_in_it(scale):
    by = np.array([0.1, -0.1, 0.0, 0.3])
    assert scale.scaled(scale.moved(TARGETS, by)) == pytest.approx(scale.scaled(TARGETS) + by)


@every_scale
def test_some_entries_are_scaled_as_among_all(scale):
    some = np.array([3, 1])
    assert scale.take(some).scaled(TARGETS[some]).tolist() == scale.scaled(TARGETS)[some].tolist()


def test_a_log_does_not_exist_for_a_target_of_zero_and_does_when_it_is_moved():
    assert np.isnan(LOG.scaled(np.array([0.0]))).all()
    assert SCALES["moved log"].scaled(np.array([0.0])) == pytest.approx(np.log(2.0))


def test_no_forecast_lies_below_the_floor():
    assert SCALES["moved log"].target(np.array([-9.0])).tolist() == [0.0]
    assert Scale(np.array([2.0]), 0.0).target(np.array([-1.0])).tolist() == [0.0]
    assert Scale(np.array([2.0])).target(np.array([-1.0])).tolist() == [-2.0]


def test_rows_of_keys_have_the_levels_of_their_keys():
    grid = np.array([[2.0, 4.0], [10.0, 5.0]])
    assert Scale(np.array([2.0, 5.0])).scaled(grid).tolist() == [[1.0, 2.0], [2.0, 1.0]]
