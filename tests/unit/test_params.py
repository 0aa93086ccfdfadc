"""params.yaml is checked before anything runs, and what is wrong is named."""

from pathlib import Path

import pytest
import yaml

from lockgate.errors import BadConfiguration
from lockgate.problem.params import load_params

GOOD = (Path(__file__).parents[2] / "params.yaml").read_text()


def write(folder, **changes):
    params = yaml.safe_load(GOOD)
    for path, value in changes.items():
        *sections, key = path.split("__")
        place = params
        for section in sections:
            place = place[section]
        place[key] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return folder / "params.yaml"


def test_the_projects_own_params_are_good(tmp_path):
    params = load_params(write(tmp_path))
    assert params.model_name == "rossmann-ensemble"
    assert (params.gate.limit, params.split.holdout_days) == (0.10, 42)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"gate__treshold": 0.1}, "unknown key gate.treshold", "known keys: limit"),
        ({"gate__limt": 0.1}, "unknown key gate.limt", "did you mean limit?"),
        ({"gat": 0.1}, "unknown key gat", "did you mean gate?"),
        ({"members__catbost": {}}, "unknown key members.catbost", "did you mean catboost?"),
        *[({"gate__limit": bad}, "gate.limit is", "gate.limit:") for bad in (-1, "0.1", None)],
        *[
            ({"gate__limit": bad}, f"gate.limit is {bad}", "with metric: rmspe, where lower is better")
            for bad in (0, 1.5)
        ],
        ({"metric": "r2", "gate__limit": 1.0}, "gate.limit is 1", "must be between 1 (perfect) and 0"),
        ({"metric": "mae", "gate__limit": 0}, "gate.limit is 0", "gate.limit must be above 0"),
        ({"gate__over_slice": 1.5}, "gate.over_slice is 1.5", "gate.over_slice must be at most 1"),
        ({"metric": "rmspee"}, "metric is 'rmspee'", "did you mean rmspe?"),
        ({"metric": "accuracy"}, "metric is 'accuracy'", "known metrics: rmspe, rmse, mae"),
        ({"gate__limit": float("nan")}, "gate.limit is nan", "finite number"),
        *[({"split__holdout_days": bad}, "split.holdout_days is", "split.holdout_days:") for bad in (0, -1, 3.5)],
        *[
            ({"gate__trusted_keys": [bad]}, "gate.trusted_keys.0 is", "not an Ed25519 public key")
            for bad in ("key.pem", "MCowBQYDK2VuAyEA" + "A" * 43 + "=", "MCowBQYDK2VwAyEA" + "A" * 42 + "==", 3, "")
        ],
        ({"threads": 0}, "threads is 0", "greater than or equal to 1"),
        ({"seed": 2**40}, "seed is", "less than"),
        *[({"problem": bad}, "problem is", "problem:") for bad in ("Rossmann/x", "", "a b", "a:b", "größe", "x" * 256)],
    ],
)
def test_what_is_out_of_range_or_misspelt_is_named_with_a_hint(tmp_path, changes, message, hint):
    with pytest.raises(BadConfiguration) as refused:
        load_params(write(tmp_path, **changes))
    assert message in str(refused.value)
    assert hint in refused.value.hint


@pytest.mark.parametrize("content", [b"", b"- a\n", b"a: [\n", b"\xff\xfe"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, content):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(BadConfiguration):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    with pytest.raises(BadConfiguration, match="cannot be read"):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(BadConfiguration, match="cannot be read"):
        load_params(tmp_path)


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [
        ("gate", "max_rmspe", "gate.limit"),
        ("gate", "max_rmspe_over_serving", "gate.over_serving"),
        ("gate", "max_slice_over_serving", "gate.over_slice"),
        ("training", "grids", "training.cutoff_shifts"),
    ],
)
def test_an_old_key_is_refused_with_its_new_name(tmp_path, section, old, new):
    params = yaml.safe_load(GOOD)
    params[section][old] = params[section].pop(new.partition(".")[2])
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(BadConfiguration) as refused:
        load_params(tmp_path / "params.yaml")
    assert f"{section}.{old} has a new name" in str(refused.value)
    assert (refused.value.hint, refused.value.exit_code) == (f"rename it to {new}", 8)


@pytest.mark.parametrize(
    ("metric", "limit", "over"), [("rmse", 900, 20), ("mae", 650, 2.5), ("r2", 0.8, 0.01), ("r2", 0.0, 0.0)]
)
def test_limits_are_in_units_of_the_metric(tmp_path, metric, limit, over):
    params = load_params(write(tmp_path, metric=metric, gate__limit=limit, gate__over_serving=over))
    assert (params.policy.measure.name, params.policy.limit, params.policy.over_serving) == (metric, limit, over)


def test_the_policy_is_the_gate_and_the_metric(tmp_path):
    params = load_params(write(tmp_path))
    assert params.policy.model_dump() == params.gate.model_dump() | {"metric": "rmspe"}


def test_a_missing_key_is_named(tmp_path):
    params = yaml.safe_load(GOOD)
    del params["gate"]["limit"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(BadConfiguration, match=r"missing key gate\.limit"):
        load_params(tmp_path / "params.yaml")


def test_the_fast_profile_learns_less_and_at_a_higher_rate_and_nothing_else_changes(tmp_path):
    full = load_params(write(tmp_path))
    fast = load_params(write(tmp_path, profile="fast", fast__learning_rate_factor=1.5))
    assert fast.training.max_rounds == full.fast.max_rounds < full.training.max_rounds
    assert fast.members.lightgbm.learning_rate == pytest.approx(1.5 * full.members.lightgbm.learning_rate)
    assert fast.members.catboost.depth == full.members.catboost.depth
    assert (fast.gate, fast.split, fast.generator) == (full.gate, full.split, full.generator)
    assert fast.training.min_history_days == full.training.min_history_days


def test_a_rate_that_the_fast_profile_drives_out_of_range_is_named(tmp_path):
    with pytest.raises(BadConfiguration, match=r"lightgbm\.learning_rate is 4"):
        load_params(
            write(tmp_path, profile="fast", members__lightgbm__learning_rate=0.5, fast__learning_rate_factor=8.0)
        )


@pytest.mark.parametrize(
    ("seed", "shown"),
    [
        ("0x" + "f" * 5000, "a number with thousands of digits"),
        ("[" + "1, " * 3000 + "]", "..."),
        ("9" * 5000, "Exceeds"),
    ],
)
def test_a_huge_value_is_refused_in_a_short_message(tmp_path, seed, shown):
    (tmp_path / "params.yaml").write_text(GOOD.replace("\nseed: 7\n", f"\nseed: {seed}\n"))
    with pytest.raises(BadConfiguration) as refused:
        load_params(tmp_path / "params.yaml")
    assert shown in str(refused.value)
    assert len(str(refused.value)) < 400
