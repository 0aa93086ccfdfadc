"""params.yaml is checked before anything runs, and what is wrong is named."""

from pathlib import Path

import pytest
import yaml

from lockgate.errors import BadConfiguration
from lockgate.problem import params
from lockgate.problem.description import Problem
from lockgate.problem.params import Policy, load_params

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
    assert (params.gate.limit, params.horizon) == (0.10, 42)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"gate__treshold": 0.1}, "unknown key gate.treshold", "known keys: limit"),
        ({"gate__limt": 0.1}, "unknown key gate.limt", "did you mean limit?"),
        ({"gat": 0.1}, "unknown key gat", "did you mean gate?"),
        ({"members__catbost": {}}, "unknown key members.catbost", "did you mean catboost?"),
        ({"problem__targt": "Sales"}, "unknown key problem.targt", "did you mean target?"),
        ({"problem__time__colum": "Date"}, "unknown key problem.time.colum", "did you mean column?"),
        ({"problem__where__equal": 1}, "unknown key problem.where.equal", "did you mean equals?"),
        ({"problem__split": {"by": "time", "lst": 3}}, "unknown key problem.split.lst", "did you mean last?"),
        ({"problem__columns__Store__rnge": [1, 2]}, "unknown key problem.columns.Store.rnge", "did you mean range?"),
        ({"problem__rules": [{"when": {}, "fill": "a"}]}, "unknown key problem.rules.0.fill", "did you mean filled?"),
        (
            {"problem__sources": [{"file": "a.csv", "delimeter": ";"}]},
            "unknown key problem.sources.0.delimeter",
            "did you mean delimiter?",
        ),
        (
            {"problem__slices": ["Promo", {"column": "Store", "bin": 4}]},
            "unknown key problem.slices.1.bin",
            "did you mean bins?",
        ),
        (
            {"problem__slices": ["Promo", {"column": "Store", "bins": 1}]},
            "problem.slices.1.bins is 1",
            "greater than or equal to 2",
        ),
        ({"problem__columns__Store__type": "int"}, "problem.columns.Store.type is 'int'", "'integer', 'number'"),
        (
            {"problem__columns__Promo__range": [0, 1]},
            "problem.columns.Promo: range is for columns of type",
            "problem.md",
        ),
        ({"problem__columns__Date__range": [1, 2]}, "problem.columns.Date: range takes two dates", "problem.md"),
        ({"problem__columns__Id__range": [2, 1]}, "problem.columns.Id: range is [lowest, highest]", "problem.md"),
        ({"problem": "rossmann"}, "problem is 'rossmann'", "its name is problem.name"),
        ({"problem__prefer": ["mae", "rmspee"]}, "problem.prefer.1 is 'rmspee'", "did you mean rmspe?"),
        *[({"gate__limit": bad}, "gate.limit is", "gate.limit:") for bad in (-1, "0.1", None)],
        *[
            ({"gate__limit": bad}, f"gate.limit is {bad}", "with problem.metric: rmspe, where lower is better")
            for bad in (0, 1.5)
        ],
        ({"problem__metric": "r2", "gate__limit": 1.0}, "gate.limit is 1", "must be between 1 (perfect) and 0"),
        ({"problem__metric": "mae", "gate__limit": 0}, "gate.limit is 0", "gate.limit must be above 0"),
        ({"gate__over_slice": 1.5}, "gate.over_slice is 1.5", "gate.over_slice must be at most 1"),
        ({"problem__metric": "rmspee"}, "problem.metric is 'rmspee'", "did you mean rmspe?"),
        ({"problem__metric": "klingon"}, "problem.metric is 'klingon'", "known metrics: rmspe, rmse, mae"),
        ({"gate__limit": float("nan")}, "gate.limit is nan", "finite number"),
        *[({"problem__horizon": bad}, "problem.horizon is", "problem.horizon:") for bad in (-1, 3.5, 10_001)],
        *[
            ({"gate__trusted_keys": [bad]}, "gate.trusted_keys.0 is", "not an Ed25519 public key")
            for bad in ("key.pem", "MCowBQYDK2VuAyEA" + "A" * 43 + "=", "MCowBQYDK2VwAyEA" + "A" * 42 + "==", 3, "")
        ],
        ({"threads": 0}, "threads is 0", "greater than or equal to 1"),
        ({"seed": 2**40}, "seed is", "less than"),
        *[
            ({"problem__name": bad}, "problem.name is", "problem.name:")
            for bad in ("Rossmann/x", "", "a b", "a:b", "größe", "x" * 256)
        ],
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
    ("changes", "contradiction"),
    [
        ({"keys": ["Store", "Promo"]}, "column Promo has two roles"),
        ({"target": "Turnover"}, "target Turnover is missing under columns"),
        ({"past_covariates": []}, "column Customers has no role; give it one, or move it to drop"),
        ({"sources": [{"file": "train.csv"}, {"file": "store.csv"}]}, "sources needs exactly one file without a key"),
        ({"sources": [{"file": "train.csv"}]}, "which is no side table of sources"),
        ({"time": None}, "horizon needs time"),
        ({"horizon": None}, "time needs horizon"),
        ({"time": {"column": "Date", "period": "integer"}}, "time.period: integer needs a column of type integer"),
        ({"task": "binary", "positive": "1"}, "a horizon above 0 needs task: regression"),
        ({"task": "binary", "horizon": 0}, "task: binary needs positive"),
        ({"positive": "1"}, "task: regression has no positive"),
        ({"slices": ["Promo", "Colour"]}, "slices names Colour, which is not under columns"),
        ({"slices": [{"column": "Promo", "bins": 2}]}, "slices: bins of Promo need a column of type integer or number"),
        ({"rules": [{"when": {"Opne": 0}, "then": {"Sales": 0}}]}, "rules names Opne, which is not under columns"),
        ({"split": {"by": "group", "column": "Region"}}, "split.column names Region, which is not under columns"),
        ({"split": {"by": "random", "last": 3}}, "split.last is for split by: time"),
        ({"split": {"by": "stratified"}}, "split by: stratified needs classes"),
        ({"where": {"column": "Sales", "equals": 1, "otherwise": 0}}, "where.column must be one of known_covariates"),
    ],
)
def test_a_contradiction_in_the_description_is_one_sentence(tmp_path, changes, contradiction):
    with pytest.raises(BadConfiguration) as refused:
        load_params(write(tmp_path, **{f"problem__{key}": value for key, value in changes.items()}))
    assert str(refused.value).startswith("problem: ")
    assert contradiction in str(refused.value)
    assert refused.value.hint == "correct problem; see docs/reference/problem.md"


def test_an_old_key_of_another_place_is_refused_with_its_new_place(tmp_path):
    params = yaml.safe_load(GOOD)
    for key, value, old, new in (
        ("metric", "rmspe", "metric", "problem.metric"),
        ("split", {"holdout_days": 42}, "split.holdout_days", "problem.horizon"),
    ):
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {key: value}))
        with pytest.raises(BadConfiguration, match=f"{old} has a new name") as refused:
            load_params(tmp_path / "params.yaml")
        assert (refused.value.hint, refused.value.exit_code) == (f"rename it to {new}", 8)


@pytest.mark.parametrize(
    ("metric", "limit", "over"), [("rmse", 900, 20), ("mae", 650, 2.5), ("r2", 0.8, 0.01), ("r2", 0.0, 0.0)]
)
def test_limits_are_in_units_of_the_metric(tmp_path, metric, limit, over):
    params = load_params(write(tmp_path, problem__metric=metric, gate__limit=limit, gate__over_serving=over))
    assert (params.policy.measure.name, params.policy.limit, params.policy.over_serving) == (metric, limit, over)


def test_the_policy_is_the_gate_the_metric_and_what_is_judged(tmp_path):
    params = load_params(write(tmp_path))
    assert params.policy.model_dump() == params.gate.model_dump() | {
        "metric": "rmspe", "target": "Sales (regression)", "where": "Open is 1, otherwise 0",
        "split": "time, the last 42 days", "baseline": "seasonal_naive",
        "slices": "StoreType, Assortment, Promo, week, size",
    }  # fmt: skip


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
    assert (fast.gate, fast.problem, fast.generator) == (full.gate, full.problem, full.generator)
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
    (tmp_path / "params.yaml").write_text(GOOD.replace("seed: 7\n", f"seed: {seed}\n", 1))
    with pytest.raises(BadConfiguration) as refused:
        load_params(tmp_path / "params.yaml")
    assert shown in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"metric": "rmse"}, "metric rmse does not fit task: binary"),
        ({"metric": "log_loss", "prefer": ["mae"]}, "metric mae does not fit task: binary"),
        ({"task": "multiclass", "positive": "", "metric": "roc_auc"}, "metric roc_auc does not fit task: multiclass"),
        ({"task": "regression", "positive": "", "metric": "mase"}, "metric mase needs a horizon above 0"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused(change, says):
    churn = {
        "name": "churn",
        "task": "binary",
        "sources": [{"file": "customers.csv"}],
        "target": "Churn",
        "positive": "Yes",
        "known_covariates": ["Months"],
        "columns": {"Months": {"type": "integer"}, "Churn": {"type": "category"}},
        "metric": "pr_auc",
    }
    Problem.model_validate(churn)
    with pytest.raises(ValueError, match=says):
        Problem.model_validate(churn | change)


@pytest.mark.parametrize(
    ("metric", "task", "limit", "allowed"),
    [
        ("roc_auc", "binary", 0.5, "between 1 (perfect) and 0.5 (reached without any skill)"),
        ("pr_auc", "binary", 0.0, "between 1 (perfect) and 0 (reached without any skill)"),
        ("pr_auc", "binary", 1.0, "between 1 (perfect) and 0"),
        ("log_loss", "binary", 0.7, "between 0 (perfect) and 0.693147"),
        ("brier", "binary", 0.25, "between 0 (perfect) and 0.25"),
        ("smape", "regression", 2.1, "between 0 (perfect) and 2"),
        ("rul_score", "regression", 0.0, "above 0"),
    ],
)
def test_a_limit_that_every_forecast_passes_or_none_is_refused(metric, task, limit, allowed):
    policy = Policy(metric=metric, limit=limit, over_serving=0.0, over_slice=0.0)
    with pytest.raises(BadConfiguration) as refused:
        params._require_limits_of_metric(Path("params.yaml"), policy, task)
    assert allowed in refused.value.hint
    usual = {"log_loss": 0.5, "brier": 0.2}.get(metric, 0.8)
    with pytest.raises(BadConfiguration, match=r"monitor\.metric\.limit is"):
        good = policy.model_copy(update={"limit": usual})
        params._require_limits_of_metric(Path("params.yaml"), good, task, of_monitor=limit)
    params._require_limits_of_metric(Path("params.yaml"), policy.model_copy(update={"limit": usual}), task)


@pytest.mark.parametrize(
    ("monitor", "says"),
    [
        ({"window": "1w"}, "monitor.window is '1w'"),
        ({"window": "0d"}, "monitor.window is '0d'"),
        ({"metric": {"bad": 6, "windows": 5}}, "monitor.metric: bad is 6, and there are 5 windows"),
        ({"metric": {"limit": -1.0}}, "monitor.metric.limit is -1.0"),
        ({"drift": {"significance": 0.0}}, "monitor.drift.significance is 0.0"),
        ({"coverage": {"shortfal": 0.1}}, "unknown key monitor.coverage.shortfal"),
        ({"min_rows": 0}, "monitor.min_rows is 0"),
    ],
)
def test_a_rule_of_the_monitor_that_cannot_work_is_refused(monitor, says, tmp_path):
    with pytest.raises(BadConfiguration) as refused:
        load_params(write(tmp_path, monitor=monitor))
    assert says in str(refused.value)
