"""The recipe of a panel state: causal statistics of a key's rows so far, within operating conditions."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from engine_fleet import CONDITIONS, SENSORS, fleet, fleet_problem

from lockgate.errors import BadConfiguration
from lockgate.features.panel_state.recipe import PANEL_STATE, StateOfKeys
from lockgate.features.tabular import Learned
from lockgate.problem.description import Problem


def fitted(problem: Problem, rows: pd.DataFrame) -> Learned:
    return PANEL_STATE.fit(problem, rows, rows[["cycles_left"]].to_numpy(dtype=np.float64), 7)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    frame = fleet(12)
    frame.loc[frame.index[::17], "sensor_2"] = np.nan
    return frame


@pytest.fixture(scope="module")
def state(rows: pd.DataFrame) -> Any:
    return fitted(fleet_problem(), rows).state


def same(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(found, expected)


def test_one_key_alone_has_the_features_of_the_batch(state: StateOfKeys, rows: pd.DataFrame) -> None:
    own = (rows["unit"] == 5).to_numpy()
    same(state.transform(rows[own]).values, state.transform(rows).values[own])


def test_later_rows_and_other_keys_change_nothing(state: StateOfKeys, rows: pd.DataFrame) -> None:
    changed = rows.copy()
    noise = np.random.default_rng(1).normal(0, 100, (len(rows), len(SENSORS)))
    moved = ((rows["cycle"] > 60) | (rows["unit"] != 5)).to_numpy()
    changed.loc[moved, list(SENSORS)] += noise[moved]
    same(state.transform(changed).values[~moved], state.transform(rows).values[~moved])
    same(state.transform(rows[~moved]).values, state.transform(rows).values[~moved])


def test_the_order_of_rows_and_columns_changes_nothing(rows: pd.DataFrame) -> None:
    problem = fleet_problem()
    order = np.random.default_rng(2).permutation(len(rows))
    shuffled = rows.iloc[order][list(reversed(rows.columns))]
    plain, other = fitted(problem, rows), fitted(problem, shuffled)
    same(other.matrix.values, plain.matrix.values[order])
    same(other.state.transform(shuffled).values, plain.state.transform(rows).values[order])


def test_rows_are_not_changed(state: StateOfKeys, rows: pd.DataFrame) -> None:
    before = rows.copy(deep=True)
    state.transform(rows)
    pd.testing.assert_frame_equal(rows, before)


def test_arrays_restore_the_state_without_objects(state: StateOfKeys, rows: pd.DataFrame) -> None:
    arrays = state.arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = PANEL_STATE.restore(state.problem, arrays)
    assert again.names == state.names
    same(again.transform(rows).values, state.transform(rows).values)


def test_a_row_has_the_statistics_of_the_rows_of_its_key_so_far() -> None:
    rows = fleet(4, conditions=1)
    problem = fleet_problem("last", {"rolling": [5]}, "expanding", {"ewm": 3}, "change", "age")
    state = fitted(problem, rows).state
    matrix = pd.DataFrame(state.transform(rows).values, columns=list(state.names))
    values = ((rows["sensor_1"] - rows["sensor_1"].mean()) / rows["sensor_1"].std(ddof=0)).groupby(rows["unit"])
    newest = values.rolling(5, min_periods=1).mean().to_numpy()
    so_far = values.expanding().mean().to_numpy()
    first = np.where(rows["cycle"] < 5, so_far, values.transform(lambda each: each.iloc[:5].mean()))
    deviation = values.rolling(5, min_periods=1).std(ddof=0)
    slope = values.rolling(5, min_periods=2).apply(lambda each: np.polyfit(range(len(each)), each, 1)[0])
    expected = {
        "last": (rows["sensor_1"] - rows["sensor_1"].mean()) / rows["sensor_1"].std(ddof=0),
        "mean_5": newest,
        "std_5": deviation,
        "slope_5": slope,
        "expanding_mean": so_far,
        "ewm_3": values.ewm(halflife=3).mean(),
        "change": newest - first,
    }
    for name, column in expected.items():
        np.testing.assert_allclose(matrix[f"sensor_1.{name}"], np.asarray(column), atol=1e-5, err_msg=name)
    same(matrix["age"].to_numpy(), rows["cycle"].to_numpy(dtype=np.float32) - 1)


def test_six_operating_conditions_are_found_and_leave_only_the_wear(state: StateOfKeys, rows: pd.DataFrame) -> None:
    assert len(state.scaling.conditions.centres) == len(CONDITIONS)
    found = pd.Series(state.transform(rows).values[:, state.names.index("condition")])
    assert rows[["altitude", "throttle"]].round().groupby(found).nunique().to_numpy().max() == 1
    last = state.transform(rows).values[:, state.names.index("sensor_1.last")]
    by_condition = pd.Series(last).groupby(found).mean()
    assert np.abs(by_condition).max() < 0.2  # of levels that are hundreds of standard deviations apart


def test_named_columns_give_the_conditions_and_none_gives_a_single_one(rows: pd.DataFrame) -> None:
    named = fitted(fleet_problem({"conditions": ["altitude", "throttle"]}), rows).state
    single = fitted(fleet_problem({"conditions": []}), rows).state
    assert isinstance(named, StateOfKeys) and isinstance(single, StateOfKeys)
    assert len(named.scaling.conditions.centres) == len(CONDITIONS)
    assert len(single.scaling.conditions.centres) == 1


def test_a_sensor_that_steps_with_the_wear_is_no_condition() -> None:
    rows = fleet(12, conditions=1)
    rows["sensor_1"] = np.where(rows["cycles_left"] > 60, 1.0, 2.0)
    assert len(fitted(fleet_problem(), rows).state.arrays()["condition_centres"]) == 1


def test_a_constant_column_has_no_feature(rows: pd.DataFrame) -> None:
    state = fitted(fleet_problem(), rows.assign(sensor_3=7.0)).state
    assert not any(name.startswith("sensor_3.") for name in state.names)


def test_the_index_follows_the_target_and_that_of_a_training_row_is_out_of_fold(rows: pd.DataFrame) -> None:
    found = fitted(fleet_problem("last", "index"), rows)
    column = found.state.names.index("index.last")
    assert np.corrcoef(found.matrix.values[:, column], rows["cycles_left"])[0, 1] > 0.5
    noise = rows.assign(cycles_left=np.random.default_rng(3).permutation(rows["cycles_left"].to_numpy()))
    assert not np.array_equal(fitted(fleet_problem("last", "index"), noise).matrix.values, found.matrix.values)


@pytest.mark.parametrize("engines", [1, 2])
def test_few_rows_of_few_keys_are_enough(engines: int) -> None:
    rows = fleet(engines).groupby("unit").head(25)
    found = fitted(fleet_problem(), rows)
    assert found.matrix.values.shape == (len(rows), len(found.state.names))


def test_a_column_of_texts_has_an_indicator_for_each_text_and_none_for_an_unseen_one() -> None:
    rows = fleet(4).assign(sensor_8="a")
    rows.loc[rows["unit"] > 2, "sensor_8"] = "b"
    columns = fleet_problem().columns
    described = {name: given.model_dump(exclude_defaults=True) for name, given in columns.items()}
    problem = fleet_problem("last", columns=described | {"sensor_8": {"type": "category", "missing": "unknown"}})
    state = fitted(problem, rows).state
    found = pd.DataFrame(state.transform(rows.assign(sensor_8="c")).values, columns=list(state.names))
    assert found[["sensor_8=a", "sensor_8=b"]].to_numpy().max() == 0
    assert state.transform(rows).values[0, state.names.index("sensor_8=a")] == 1


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (("rollin",), "names rollin"),
        (({"rolling": [0]},), r"rolling is \[0\]"),
        (({"rolling": {"windows": [5], "statistics": ["meen"]}},), "statistics names meen"),
        (({"conditions": ["weather"]},), "conditions names weather"),
        (({"age": 5},), "has a setting for age"),
    ],
)
def test_unknown_features_are_refused(features: tuple[Any, ...], sentence: str) -> None:
    with pytest.raises(BadConfiguration, match=sentence):
        fitted(fleet_problem(*features), fleet(2))
