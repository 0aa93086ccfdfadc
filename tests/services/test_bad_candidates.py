"""Registered versions that are bad and look right: the verdict says what they did, and this process lives."""

import shutil
from dataclasses import replace

import broken_bundles
import numpy as np
import pandas as pd
import pytest
import small_chain

from lockgate import digests
from lockgate.bundle import manifest, store
from lockgate.data import dataset
from lockgate.data.data_card import read_card
from lockgate.database import verdicts, versions
from lockgate.errors import ArtifactMissing, BundleUnreadable, IntegrityBroken
from lockgate.evaluation import sandboxed
from lockgate.features.recipe import Table
from lockgate.features.scale import LOG
from lockgate.features.store_panel import history
from lockgate.gate.evidence import NoEvidence
from lockgate.gate.verdict import policy_digest
from lockgate.operations import load_version, promote, register, score_candidate, validate
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.score_candidate import Findings
from lockgate.operations.workspace import Workspace
from lockgate.system import sandbox

PEEKING = """

_honest = history_states


def history_states(history, origins, attributes, shared=None):
    return [replace(each, level=level(history)) for each in _honest(history, origins, attributes, shared)]
"""
YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)


def forecaster_of(build):
    return store.load(build.bundle, manifest.digest(build.bundle))


def stages(backend: Workspace):
    return [row.stage for row in versions.stages(backend.database, backend.model)]


def reasons(verdict):
    return [(check["outcome"], check["says"]) for check in verdict.checks if check["outcome"] != "passed"]


def kept_files(home, backend, version=1):
    """Where the server keeps the files of a version."""
    source = backend.registry()._client.get_model_version(backend.model, str(version)).source
    [folder] = home.glob(f"artifacts/*/models/{source.removeprefix('models:/')}/artifacts")
    return folder


def test_a_candidate_that_kills_its_process_is_inconclusive_each_time_and_on_record_once(backend, build, params):
    broken = build(1)
    broken_bundles.truncated(broken.bundle)
    receipt = register.register(backend, broken, params)
    verdict, again = (validate.validate(backend, receipt, broken, params.policy, params.problem) for _ in range(2))
    [(outcome, says)] = reasons(verdict)
    assert (verdict.outcome, outcome, stages(backend)) == ("inconclusive", "inconclusive", ["None"])
    assert says.startswith("its process was ended by SIG")
    assert again.id == verdict.id
    assert not (broken.plots / "holdout.png").exists()
    with pytest.raises(BundleUnreadable, match=r"version 1 of .* cannot be opened: its process was ended by SIG"):
        load_version.verify(backend, backend.state().find(1))


def test_a_crash_by_another_signal_is_the_same_verdict(backend, build, params, monkeypatch):
    receipt, judgements = register.register(backend, build(1), params), []
    for signal in ("SIGABRT", "SIGSEGV"):
        ended = Findings(NoEvidence(f"its process was ended by {signal}"), {})
        monkeypatch.setattr(score_candidate, "examine", lambda *case, ended=ended: ended)
        judgements.append(validate.validate(backend, receipt, build(1), params.policy, params.problem))
    first, second = judgements
    assert (second.id, reasons(second)) == (first.id, [("inconclusive", "its process was ended by SIGABRT")])


def test_a_candidate_that_is_too_slow_today_is_looked_into_again(backend, build, params, monkeypatch):
    receipt = register.register(backend, build(1), params)
    monkeypatch.setattr(sandboxed, "FORECAST_LIMITS", replace(sandboxed.FORECAST_LIMITS, wall_seconds=0.1))
    slow = validate.validate(backend, receipt, build(1), params.policy, params.problem)
    assert reasons(slow) == [("inconclusive", "it did not end within 0.1 s, or 600 s of CPU time")]
    monkeypatch.undo()
    assert validate.validate(backend, receipt, build(1), params.policy, params.problem).outcome == "passed"
    assert stages(backend) == ["Staging"]


def test_forecasts_below_zero_are_refused(backend, build, params):
    broken = build(1)
    broken_bundles.reweighted(broken.bundle, forecaster_of(broken), ridge=-1.0)
    verdict = validate.validate(
        backend, register.register(backend, broken, params), broken, params.policy, params.problem
    )
    assert verdict.outcome == "refused"
    assert reasons(verdict)[0][1].endswith("forecasts are out of range (below 0, or a probability above 1)")


def test_a_row_without_a_number_is_inconclusive(backend, build, params):
    """One store forecasts no finite number on a weekday that the probe does not look at."""
    broken = build(1)
    unnumbered(broken)
    verdict = validate.validate(
        backend, register.register(backend, broken, params), broken, params.policy, params.problem
    )
    assert verdict.outcome == "inconclusive"
    assert reasons(verdict)[0][1].endswith("rows have no finite forecast")


def unnumbered(build):
    """Save a bundle that forecasts its probe, and no finite number for some row of the holdout."""
    honest, rows = forecaster_of(build), dataset.read(build.prepared, "holdout").drop(columns="Sales")
    weights = dict.fromkeys(honest.members, 0.0) | {"lightgbm": 1.0}
    lightgbm = {"lightgbm": replace(honest.boosters["lightgbm"], offset="group_mean")}
    past = honest.state.history
    for place in np.ndindex(past.group_statistics.shape[:3]):
        group_statistics = past.group_statistics.copy()
        group_statistics[place] = np.inf
        state = replace(honest.state, history=replace(past, group_statistics=group_statistics))
        other = replace(honest, state=state, weights=weights, boosters=honest.boosters | lightgbm)
        if not np.isfinite(other.predict(rows)).all():
            digest = store.save(other, build.bundle)
            try:
                store.load(build.bundle, digest)
            except (IntegrityBroken, ValueError):
                continue
            return
    raise AssertionError("the probe looks at every store, weekday and promo")


def test_a_candidate_that_has_learned_from_the_holdout_is_refused(backend, build, params):
    """It was trained on other data than this holdout assumes: on days that are in it."""
    candidate = build(1)
    card, rows = read_card(candidate.prepared), dataset.read(candidate.prepared, "rows")
    seen = rows[rows["Date"] > rows["Date"].max() - pd.Timedelta(days=10)].reset_index(drop=True)
    card["holdout"]["digest"] = digests.of_frame(seen)
    dataset.write(candidate.prepared, {"holdout": seen}, card)
    verdict = validate.validate(
        backend, register.register(backend, candidate, params), candidate, params.policy, params.problem
    )
    assert (verdict.outcome, stages(backend)) == ("refused", ["None"])
    assert [says for outcome, says in reasons(verdict) if outcome == "refused"] == [
        f"trained until {rows['Date'].max():%Y-%m-%d}, the holdout begins on {seen['Date'].min():%Y-%m-%d}"
    ]


def leak_said(verdict):
    return next((check["outcome"], check["says"]) for check in verdict.checks if check["name"] == "no data leakage")


def test_a_feature_whose_code_looks_past_the_origin_is_refused_by_name(backend, build, params, tmp_path, monkeypatch):
    """The child runs a copy of the package in which the level is taken before the rows are cut at the origin."""
    shutil.copytree(sandbox.PACKAGE_FOLDER, tmp_path / "src")
    with (tmp_path / "src/lockgate/features/store_panel/history.py").open("a", encoding="utf-8") as code:
        code.write(PEEKING)
    receipt = register.register(backend, build(1), params)
    monkeypatch.setattr(sandbox, "PACKAGE_FOLDER", tmp_path / "src")
    verdict = validate.validate(backend, receipt, build(1), params.policy, params.problem)
    assert (verdict.outcome, stages(backend)) == ("refused", ["None"])
    says = "replacing targets after the training cutoff changes level_364: these features use future data"
    assert leak_said(verdict) == ("refused", says)


def test_a_bundle_that_remembers_the_holdout_is_doubted_by_name_whatever_it_says_of_itself(backend, build, params):
    """Its level was taken of all days, its origin is the day before the holdout, and its code is honest."""
    candidate = build(1)
    honest = forecaster_of(candidate)
    tables = [dataset.read(candidate.prepared, part) for part in ("rows", "holdout")]
    grid = Table.of(honest.problem, pd.concat(tables), honest.state.series.frame).history
    later = history.level(replace(grid, target=LOG.scaled(grid.target)))
    state = replace(honest.state, history=replace(honest.state.history, level=later))
    store.save(replace(honest, state=state), candidate.bundle)
    verdict = validate.validate(
        backend, register.register(backend, candidate, params), candidate, params.policy, params.problem
    )
    assert stages(backend) == ["None"]
    outcome, says = leak_said(verdict)
    until = small_chain.trained_until(honest)
    assert outcome == "inconclusive"
    assert f"level_364, recomputed from the prepared rows up to {until}, differ from the bundle" in says


def test_a_candidate_whose_files_are_gone_is_inconclusive_until_they_are_back(backend, build, params, home):
    receipt = register.register(backend, build(1), params)
    folder = kept_files(home, backend)
    folder.rename(folder.with_name("elsewhere"))
    verdict = validate.validate(backend, receipt, build(1), params.policy, params.problem)
    assert (verdict.outcome, stages(backend)) == ("inconclusive", ["None"])
    assert reasons(verdict)[0][1] == "the store no longer has the files of version 1"
    folder.with_name("elsewhere").rename(folder)
    assert validate.validate(backend, receipt, build(1), params.policy, params.problem).outcome == "passed"


def test_a_serving_version_whose_files_are_gone_stops_the_gate_and_says_what_to_do(
    backend, validated, build, params, home
):
    validated()
    promote.promote(backend, YES, 1, policy_digest(params.policy), None)
    folder = kept_files(home, backend)
    folder.rename(folder.with_name("elsewhere"))
    receipt = register.register(backend, build(2), params)
    with pytest.raises(ArtifactMissing, match="the store no longer has the files of version 1") as refusal:
        validate.validate(backend, receipt, build(2), params.policy, params.problem)
    assert (refusal.value.exit_code, "lockgate rollback" in refusal.value.hint) == (7, True)
    assert verdicts.latest_verdict(backend.database, backend.model, 2) is None


def test_code_that_was_not_committed_is_refused_where_the_policy_asks(backend, build, params, monkeypatch):
    monkeypatch.setattr("lockgate.operations.lineage.git_dirty", lambda folder: True)
    receipt = register.register(backend, build(1), params)
    policy = params.policy.model_copy(update={"clean_tree_required": True})
    verdict = validate.validate(backend, receipt, build(1), policy, params.problem)
    assert reasons(verdict) == [("refused", "the training code was changed since the last commit")]
