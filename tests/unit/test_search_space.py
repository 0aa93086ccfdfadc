"""The search space of a sweep: keys of params.yaml with values that they allow."""

from pathlib import Path

import pytest
import yaml

from lockgate.errors import BadConfiguration
from lockgate.problem import search_space
from lockgate.problem.params import Params, params_of
from lockgate.problem.search_space import Choices, Range

PROJECT = Path(__file__).parents[2]
WRITTEN = yaml.safe_load((PROJECT / "params.yaml").read_text())
CHURN = yaml.safe_load((PROJECT / "examples/churn/params.yaml").read_text())


def space_of(sweep, document=WRITTEN, rows=100_000, **changes):
    document = document | changes | {"sweep": sweep}
    params_of(document, Path("params.yaml"))
    return search_space.space_of(document, rows)


def test_a_range_is_of_whole_numbers_if_the_key_is() -> None:
    space = space_of(
        {
            "members.lightgbm.leaves": {"low": 7, "high": 63, "log": True},
            "members.xgboost.l2": {"low": 1, "high": 10},
            "members.catboost.target": ["log", "ratio"],
            "training.cutoff_shifts": [[0], [0, 21]],
        }
    )
    assert space == {
        "members.lightgbm.leaves": Range(7, 63, log=True, whole=True),
        "members.xgboost.l2": Range(1, 10, log=False, whole=False),
        "members.catboost.target": Choices(("log", "ratio")),
        "training.cutoff_shifts": Choices(([0], [0, 21])),
    }


def test_without_the_key_every_booster_of_the_problem_is_searched() -> None:
    members = {name.split(".")[1] for name in space_of({})}
    assert members == {"lightgbm", "xgboost", "catboost"}
    alone = WRITTEN | {"problem": WRITTEN["problem"] | {"members": ["catboost", "linear"]}}
    assert {name.split(".")[1] for name in space_of({}, alone)} == {"catboost"}
    assert {name.rpartition(".")[2] for name in space_of({}, alone)} == {"learning_rate", "depth", "row_share", "l2"}


def test_the_default_space_asks_of_few_rows_no_more_rows_in_a_leaf_than_they_have() -> None:
    assert [space_of({}, rows=rows)["members.lightgbm.min_rows_in_leaf"].high for rows in (100, 1000, 10**6)] == [
        10, 50, 200,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "example", sorted((PROJECT / "examples").glob("*/params.yaml")), ids=lambda path: path.parent.name
)
def test_the_default_space_is_allowed_in_every_example_and_profile(example) -> None:
    document = yaml.safe_load(example.read_text())
    for profile in ("fast", "full"):
        for name, dimension in space_of({}, document, profile=profile).items():
            for value in dimension.ends:
                search_space.params_with(document | {"profile": profile}, {name: value})


@pytest.mark.parametrize(
    ("sweep", "changes", "message", "hint"),
    [
        ({"members.lightgbm.leafs": [7, 15]}, {}, "members.lightgbm.leafs is no key", "did you mean leaves?"),
        ({"membrs.lightgbm.leaves": [7, 15]}, {}, "membrs.lightgbm.leaves is no key", "did you mean members?"),
        ({"members.lightgbm.leaves.x": [7, 15]}, {}, "members.lightgbm.leaves.x is no key", "dotted name"),
        ({"members.lightgbm": [7, 15]}, {}, "members.lightgbm is a section", "name a key in it"),
        ({"gate.limit": [0.1, 0.2]}, {}, "gate.limit is no setting that a sweep changes", "members, training or fast"),
        ({"seed": [1, 2]}, {}, "seed is no setting", "members, training or fast"),
        ({"problem.horizon": [7, 14]}, {}, "problem.horizon is no setting", "problem.features"),
        ({"training.fold_ends_days_ago": [[0], [0, 42]]}, {}, "chooses the inner folds", "same folds"),
        ({"training.patience": [7, 15]}, {"profile": "fast"}, "no effect with profile: fast", "search fast.patience"),
        ({"fast.patience": [7, 15]}, {}, "no effect with profile: full", "search training.patience"),
        ({"members.lightgbm.leaves": {"low": 7, "high": 4000}}, {}, "members.lightgbm.leaves is 4000", "1024"),
        ({"members.lightgbm.target": ["log", "root"]}, {}, "members.lightgbm.target is 'root'", "ratio"),
        ({"members.lightgbm.target": {"low": 1, "high": 2}}, {}, "has a range and is no number", "give a list"),
        ({"members.lightgbm.learning_rate": {"low": 0.1, "high": 0.9}}, {"profile": "fast"}, "learning_rate", "1"),
    ],
)  # fmt: skip
def test_a_key_that_a_sweep_cannot_search_is_refused_with_a_hint(sweep, changes, message, hint) -> None:
    with pytest.raises(BadConfiguration) as refused:
        space_of(sweep, **changes)
    assert message in refused.value.message and hint in refused.value.hint
    assert refused.value.exit_code == 8


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ({"low": 3, "high": 3}, "low must be below high"),
        ({"low": 0, "high": 3, "log": True}, "above 0"),
        ([1], "at least 2"),
        (7, "a list of at least 2"),
    ],
)
def test_a_range_without_values_is_refused_when_params_yaml_is_read(given, hint) -> None:
    with pytest.raises(BadConfiguration) as refused:
        space_of({"members.lightgbm.leaves": given})
    assert hint in f"{refused.value} {refused.value.hint}"


def test_a_member_that_the_problem_lacks_and_a_setting_of_panels_are_refused() -> None:
    alone = WRITTEN | {"problem": WRITTEN["problem"] | {"members": ["catboost", "linear"]}}
    with pytest.raises(BadConfiguration, match="is of no member of the problem"):
        space_of({"members.lightgbm.leaves": [7, 15]}, alone)
    with pytest.raises(BadConfiguration, match="no effect without a horizon"):
        space_of({"members.lightgbm.offset": ["ridge", "group_mean"]}, CHURN)


def test_values_replace_those_of_the_document_and_no_others() -> None:
    settings = {"members.lightgbm.leaves": 31, "training.patience": 9}
    params = search_space.params_with(WRITTEN, settings)
    assert (params.members.lightgbm.leaves, params.training.patience) == (31, 9)
    again = search_space.params_with(search_space.changed(WRITTEN, settings), {"members.lightgbm.leaves": 63})
    assert again.members == Params.model_validate(WRITTEN).members
    assert search_space.present(CHURN, "members.lightgbm.leaves") == 15
