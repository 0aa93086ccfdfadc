"""A version that passed is refit on the days that judged it, and waits for days that can judge it again."""

import shutil
from dataclasses import replace

import pytest

from lockgate.bundle import manifest, store
from lockgate.data import dataset, split
from lockgate.data.data_card import card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.database import versions
from lockgate.errors import StateConflict, WrongUsage
from lockgate.gate.verdict import policy_digest
from lockgate.operations import promote, register, validate
from lockgate.operations import refit as operations_refit
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.stage_files import Build
from lockgate.problem.params import load_params
from lockgate.training import refit as refits


def refit(backend, params, folder, version=1):
    return operations_refit.refit(
        backend, operations_refit.Order(version, "before school", folder), params, lambda *_: None
    )


def stages(backend):
    return [row.stage for row in versions.stages(backend.database, backend.model)]


@pytest.fixture(scope="module")
def then(trained_project, tmp_path_factory):
    """A build as it was a holdout ago: the same params and rounds, and the last days that are known now unknown."""
    folder, whole = tmp_path_factory.mktemp("then"), load_params(trained_project(1) / "params.yaml")
    now = Build(trained_project(1) / "data" / "prepared", trained_project(1) / "build")
    rows, stores = dataset.read(now.prepared, "rows"), dataset.read(now.prepared, "static")
    parts = split.split(whole.problem, rows)
    build = Build(folder / "prepared", folder / "build")
    card = card_of(whole.problem, FileSource(()), Tables(rows, stores), parts)
    dataset.write(build.prepared, {"rows": parts.rows, "holdout": parts.holdout, "static": stores}, card)
    shutil.copytree(now.build, build.build)
    given = store.load(now.bundle, manifest.digest(now.bundle))
    earlier = refits.EarlierTraining(whole, dict.fromkeys(("lightgbm", "xgboost", "catboost"), 30))
    store.save(refits.refit(given, earlier, parts.rows, stores, lambda *_: None), build.bundle)
    return build


@pytest.fixture
def earlier(backend, then, params):
    """That build, registered, and passed on the days that it did not know."""
    receipt = register.register(backend, then, params)
    assert validate.validate(backend, receipt, then, params.policy, params.problem).outcome == "passed"
    return then


def test_a_refit_waits_in_none_until_there_are_days_that_it_has_not_learned(backend, earlier, build, params):
    done = refit(backend, params, earlier.prepared)
    assert (done.receipt.version, stages(backend)) == (2, ["Staging", "None"])
    assert done.trained_until == str(dataset.read(earlier.prepared, "holdout")["Date"].max().date())

    on_its_own_days = validate.validate_registered(backend, 2, earlier.prepared, params.policy, params.problem)
    unseen = next(check for check in on_its_own_days.checks if check["name"] == "holdout unseen")
    assert (unseen["outcome"], stages(backend)) == ("refused", ["Staging", "None"])
    assert unseen["says"].startswith(f"trained until {done.trained_until}, the holdout begins on ")
    with pytest.raises(StateConflict, match="in None, not in Staging"):
        promote.promote(
            backend, MoveRequest("now", dry_run=False, confirm=lambda _: None), 2, policy_digest(params.policy), None
        )

    on_later_days = validate.validate_registered(backend, 2, build(1).prepared, params.policy, params.problem)
    assert (on_later_days.outcome, stages(backend)) == ("passed", ["Archived", "Staging"])


def test_its_lineage_names_whose_refit_it_is_and_the_same_again_is_the_same_version(backend, earlier, params):
    done = refit(backend, params, earlier.prepared)
    lineage = versions.recorded_version(backend.database, backend.model, 2).lineage["lineage"]
    shown = {name: lineage[name] for name in ("refit_of", "refit_reason", "refit_by", "trained_until")}
    until = str(done.trained_until)
    assert shown == {"refit_of": "1", "refit_reason": "before school", "refit_by": "anna", "trained_until": until}
    assert refit(replace(backend, actor="ben"), params, earlier.prepared) == done
    assert len(stages(backend)) == 2


def test_what_has_not_passed_is_not_refit(backend, build, params, validated):
    register.register(backend, build(1), params)
    with pytest.raises(StateConflict, match="version 1 cannot be refit: it has no verdict") as unseen:
        refit(backend, params, build(1).prepared)
    assert unseen.value.hint == "judge it first: lockgate validate 1"
    validated(limit=0.001)
    with pytest.raises(StateConflict, match="its newest verdict is refused") as refusal:
        refit(backend, params, build(1).prepared)
    assert refusal.value.hint == "refit one that passed: lockgate list"


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "\x1b[31mred", "x" * 100_000])
def test_a_reason_that_is_no_readable_line_is_refused_before_anything_is_trained(backend, params, tmp_path, reason):
    with pytest.raises(WrongUsage, match=r"^the reason (is empty|has|holds)"):
        operations_refit.refit(backend, operations_refit.Order(1, reason, tmp_path), params, lambda *_: None)


def test_what_passed_on_other_days_is_not_refit_on_these(backend, validated, then, params):
    validated()
    with pytest.raises(StateConflict, match="version 1 passed on another holdout than that of"):
        refit(backend, params, then.prepared)
