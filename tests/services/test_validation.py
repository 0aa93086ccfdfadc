"""The gate on registered versions: what it measures, what it moves, and what it leaves alone."""

import os
import shutil
import signal
import threading
from collections.abc import Callable
from dataclasses import replace

import dask_processes
import mlflow
import pytest
from distributed import Client
from sqlalchemy import make_url, text

from lockgate.bundle import manifest, store
from lockgate.database import ledger, policies, verdicts, versions
from lockgate.database.connection import with_json
from lockgate.database.verdicts import Digests, Verdict
from lockgate.errors import IntegrityBroken, StateConflict, Unavailable
from lockgate.gate.evidence import HoldoutUse
from lockgate.gate.verdict import judge, policy_digest
from lockgate.lifecycle.stages import Stage
from lockgate.operations import (
    event_log,
    promote,
    register,
    score_candidate,
    status,
    validate,
    verdict_review,
)
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import EngineParams
from lockgate.reports import review_markdown

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)


def stages(backend):
    return [row.stage for row in versions.stages(backend.database, backend.model)]


def test_a_passed_version_goes_to_staging_with_the_verdict_in_the_ledger(backend, validated):
    verdict = validated()
    assert (verdict.outcome, stages(backend)) == ("passed", ["Staging"])
    entry = ledger.read(backend.database, backend.model)[-1]
    assert (entry.command, entry.actor, entry.verdict_id) == ("validate", "anna", verdict.id)
    assert (entry.bundle_digest, entry.reason) == (verdict.digests.bundle_digest, f"verdict {verdict.id} passed")


def test_a_refused_version_stays_where_it_is(backend, validated):
    verdict = validated(limit=0.001)
    assert (verdict.outcome, stages(backend)) == ("refused", ["None"])
    assert [check["name"] for check in verdict.checks if check["outcome"] != "passed"] == ["within limit"]


def in_metric(name, limit):
    """Limits in units of a metric: a serving version may be better by anything."""
    return {"metric": name, "limit": limit, "over_serving": 1e9, "over_slice": 1e9}


@pytest.mark.parametrize(
    ("name", "loose", "strict"), [("rmse", 5000.0, 1.0), ("r2", 0.1, 0.9999), ("median_absolute_error", 5000.0, 1.0)]
)
def test_the_gate_judges_in_the_metric_of_the_params(backend, validated, name, loose, strict):
    refused, passed = validated(**in_metric(name, strict)), validated(**in_metric(name, loose))
    failed = [check["name"] for check in refused.checks if check["outcome"] != "passed"]
    assert (refused.outcome, failed, passed.outcome) == ("refused", ["within limit"], "passed")
    found = passed.metrics
    assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]
    assert METRICS[name].worse_by(found[f"{name}_naive"], found[name]) > 0
    assert "rmspe" not in found
    [line] = status.lines(backend)
    assert (line.stage, line.metric, line.score) == ("Staging", name, found[name])
    page = review_markdown.report(verdict_review.review_of_verdict(backend, passed))
    assert f"| forecast, {METRICS[name].label} (" in page


def test_a_candidate_that_is_worse_in_r2_is_refused_beside_the_one_that_serves(backend, validated, build, params):
    policy = params.policy.model_copy(update={"metric": "r2", "limit": 0.1})
    validated(seed=1, metric="r2", limit=0.1)
    promote.promote(backend, YES, 1, policy_digest(policy), None)
    verdict = validate.validate(
        backend, register.register(backend, too_high(build(2), 1.3), params), build(2), policy, params.problem
    )
    refused = {check["name"] for check in verdict.checks if check["outcome"] == "refused"}
    assert {"no worse than serving", "no worse than linear member"} <= refused, verdict.checks
    assert verdict.metrics["r2"] < verdict.metrics["r2_serving"]
    assert 0 < verdict.metrics["over_serving_low"] < verdict.metrics["over_serving_high"]


@pytest.mark.long
def test_what_the_gate_measures_is_the_same_to_the_last_bit_on_a_cluster(
    backend, validated, build, params, dask_address
):
    validated(seed=1)
    promote.promote(backend, YES, 1, policy_digest(params.policy), None)
    register.register(backend, build(2), params)
    state = backend.state()
    pair = score_candidate.VersionPair(state.find(2), state.serving())
    cluster = EngineParams(kind="dask", address=dask_address)
    here, there = (
        score_candidate.examine(replace(backend, timeout=300.0), pair, build(2), params.problem, HoldoutUse(), engine)
        for engine in (EngineParams(), cluster)
    )
    assert dict(there.metrics) == dict(here.metrics)
    assert judge(there.evidence, params.policy) == judge(here.evidence, params.policy)
    assert there.judged.production.forecast.tobytes() == here.judged.production.forecast.tobytes()


@pytest.mark.long
def test_a_validation_that_loses_a_worker_measures_the_same_and_without_a_scheduler_it_is_unavailable(
    backend, validated, build, params, tmp_path
):
    validated(seed=1)
    pair = score_candidate.VersionPair(backend.state().find(1), None)

    def examined(engine: EngineParams, timeout: float):
        patient = replace(backend, timeout=timeout)
        return score_candidate.examine(patient, pair, build(1), params.problem, HoldoutUse(), engine)

    with dask_processes.running(tmp_path, workers=2) as cluster, Client(cluster.address, timeout=60) as client:
        client.wait_for_workers(2, 60)
        processes = client.run(os.getpid)

        def at_work(act: Callable[[str], None]) -> None:
            """Act on the first worker that has had a task for a moment."""

            def wait() -> None:
                found: list[str] = []
                dask_processes.wait_for(lambda: found.extend(_at_work(client)) or found)
                act(found[0])

            threading.Thread(target=wait, daemon=True).start()

        on_cluster = EngineParams(kind="dask", address=cluster.address)
        at_work(lambda worker: os.kill(processes[worker], signal.SIGKILL))
        assert dict(examined(on_cluster, 60.0).metrics) == dict(examined(EngineParams(), 60.0).metrics)
        assert set(processes.values()) - set(client.run(os.getpid).values()), "no worker was lost"
        at_work(lambda _: cluster.scheduler.kill())
        with pytest.raises(Unavailable):
            examined(on_cluster, 5.0)


def _at_work(client: Client) -> list[str]:
    return [worker for worker, tasks in client.processing().items() if tasks]


OLD_LIMITS = {"max_rmspe": 0.1, "min_scored_rows": 1000}
OLD_CHECKS = [{"name": "rmspe below limit", "outcome": "passed", "says": "RMSPE 0.09000, limit 0.1 (gate.max_rmspe)"}]


def test_a_verdict_of_an_earlier_release_is_shown_in_rmspe_and_counts_no_longer(backend, build, params):
    """Its policy has no metric and the earlier names of the limits."""
    receipt = register.register(backend, build(1), params)
    with backend.database.transaction() as connection:
        connection.execute(
            with_json(policies.INSERT_POLICY, "limits", "checks"),
            {"digest": "0" * 64, "limits": OLD_LIMITS, "checks": ["rmspe below limit"], "approval_required": False,
             "two_persons": False, "verdict_valid_days": 30},
        )  # fmt: skip
        connection.execute(text(policies.CHANGE_POLICY), {"model": backend.model, "digest": "0" * 64, "actor": "anna"})
    old = Digests(receipt.bundle_digest, "b" * 64, "0" * 64, None)
    metrics = {
        "rmspe": 0.09,
        "rmspe_low": 0.08,
        "rmspe_high": 0.1,
        "mae": 500.0,
        "rmspe_naive": 0.15,
        "rmspe_ridge": 0.11,
    }
    verdicts.record_verdict(
        backend.database, Verdict(backend.model, 1, old, "passed", OLD_CHECKS, metrics, "c0ffee", "anna")
    )
    [line] = status.lines(backend)
    assert (line.outcome, line.metric, line.score) == ("passed", "rmspe", 0.09)
    shown = status.portrait(backend, 1).verdict
    assert "  RMSPE        candidate 0.09000, linear member alone 0.11000, naive forecast 0.15000" in validate.reported(
        shown
    )
    assert "rmspe below limit" in validate.reported(shown)
    assert {event.kind for event in event_log.events(backend)} >= {"verdict", "policy"}
    again = validate.validate(backend, receipt, build(1), params.policy, params.problem)
    assert (again.outcome, again.id > shown.id) == ("passed", True)
    assert "metric rmspe" in [event for event in event_log.events(backend) if event.kind == "policy"][-1].why


def test_too_few_rows_are_inconclusive_and_move_nothing(backend, validated):
    assert (validated(min_scored_rows=10_000_000).outcome, stages(backend)) == ("inconclusive", ["None"])


def test_the_same_case_is_not_judged_twice(backend, validated):
    assert validated().id == validated().id


def test_a_changed_limit_is_judged_anew_and_a_restored_one_is_said_again(backend, validated):
    passed, refused, restored = validated(), validated(limit=0.001), validated()
    assert [verdict.outcome for verdict in (passed, refused, restored)] == ["passed", "refused", "passed"]
    assert verdicts.latest_verdict(backend.database, backend.model, 1).id == restored.id > refused.id
    assert restored.metrics == passed.metrics


def test_a_better_candidate_takes_staging_from_the_one_that_waits_there(backend, validated):
    validated(seed=1)
    validated(seed=2, over_serving=1.0)
    assert stages(backend) == ["Archived", "Staging"]


def test_the_version_in_production_is_judged_but_never_moved(backend, validated, params):
    validated()
    promote.promote(backend, YES, 1, policy_digest(params.policy), None)
    assert validated(limit=0.001).outcome == "refused"
    assert validated().outcome == "passed"
    assert stages(backend) == ["Production"]


def test_a_version_that_serves_by_now_keeps_the_verdict_that_brought_it_there(backend, validated, params):
    """It was compared with version 1, which it displaced; a run that changes nothing writes nothing."""
    validated(seed=1)
    promote.promote(backend, YES, 1, policy_digest(params.policy), None)
    limits = {"over_serving": 1.0}
    verdict = validated(seed=2, **limits)
    promote.promote(backend, YES, 2, policy_digest(params.policy.model_copy(update=limits)), None)
    assert validated(seed=2, **limits).id == verdict.id


def test_a_version_that_is_being_judged_anew_is_not_promoted_on_its_old_verdict(
    backend, validated, params, monkeypatch
):
    before, after = ({"over_serving": limit} for limit in (0.5, 1.0))
    validated(1, **before)
    examine = score_candidate.examine
    policies = [policy_digest(params.policy.model_copy(update=limits)) for limits in (before, after)]

    def promoted_meanwhile(*args):
        for policy in policies:
            with pytest.raises(StateConflict, match="under another policy"):
                promote.promote(backend, YES, 1, policy, None)
        return examine(*args)

    monkeypatch.setattr(score_candidate, "examine", promoted_meanwhile)
    validated(1, **after)
    assert stages(backend) == ["Staging"]
    promote.promote(backend, YES, 1, policies[1], None)
    assert stages(backend) == ["Production"]


def test_the_candidate_is_held_against_the_version_in_production_on_the_same_rows(backend, validated, params):
    """The same model trained anew with another seed: it passes if these 438 rows can tell, and else is in doubt."""
    validated(seed=1)
    promote.promote(backend, YES, 1, policy_digest(params.policy), None)
    verdict = validated(seed=2)
    says = {check["name"]: check["says"] for check in verdict.checks}
    measured = verdict.metrics
    low, high = measured["over_serving_low"], measured["over_serving_high"]
    limit = params.gate.over_serving
    assert low < measured["rmspe"] - measured["rmspe_serving"] < min(high, limit)
    assert verdict.outcome == ("passed" if high <= limit else "inconclusive")
    assert f"(95 %: {low:+.5f} to {high:+.5f}) on {verdict_rows(verdict)} rows" in says["no worse than serving"]
    assert "too small to compare: StoreType a" in says["no slice worse than serving"]
    assert verdict.digests.serving_digest == versions.recorded_version(backend.database, backend.model, 1).bundle_digest
    comment = review_markdown.comment(verdict_review.review_of_verdict(backend, verdict), approval_required=False)
    assert f"| version in Production | {measured['rmspe_serving']:.5f} |" in comment
    assert f"(verdict {verdict.id}, " in comment


def test_a_candidate_that_forecasts_a_tenth_too_much_is_refused_beside_the_one_that_serves(
    backend, validated, build, params
):
    validated(seed=1)
    promote.promote(backend, YES, 1, policy_digest(params.policy), None)
    worse = too_high(build(2))
    verdict = validate.validate(
        backend, register.register(backend, worse, params), worse, params.policy, params.problem
    )
    refused = {check["name"] for check in verdict.checks if check["outcome"] == "refused"}
    assert {"no worse than serving", "no slice worse than serving", "no worse than linear member"} <= refused


def too_high(made, factor=1.1):
    """A build whose forecasts are too high by a factor."""
    forecaster = store.load(made.bundle, manifest.digest(made.bundle))
    weights = {name: weight * factor for name, weight in forecaster.weights.items()}
    store.save(replace(forecaster, weights=weights), made.bundle)
    return made


def test_the_verdict_tells_how_many_other_versions_the_holdout_has_judged(backend, validated):
    """The same version judged again is no other version."""
    first, again, second = validated(), validated(limit=0.001), validated(seed=2)
    assert [verdict.metrics["holdout_uses"] for verdict in (first, again, second)] == [0, 0, 1]
    worn = validated(seed=2, max_holdout_uses=1)
    says = {check["name"]: (check["outcome"], check["says"]) for check in worn.checks}["holdout not overused"]
    assert says == (
        "inconclusive",
        "this holdout has judged 1 other version in 0 days; fewer than 1 (gate.max_holdout_uses) in at most 365 days"
        " (gate.max_holdout_days) are allowed",
    )


def test_a_holdout_ages_from_its_first_verdict_by_the_databases_clock(backend, validated, psql):
    first = validated()
    psql(
        "ALTER TABLE lockgate.verdicts DISABLE TRIGGER append_only;"
        f"UPDATE lockgate.verdicts SET decided_at = now() - interval '366 days' WHERE id = {first.id};"
        "ALTER TABLE lockgate.verdicts ENABLE TRIGGER append_only",
        str(make_url(backend.addresses.database_url).database),
    )
    found = validated(seed=2)
    assert found.metrics["holdout_days"] == 366
    assert [check["name"] for check in found.checks if check["outcome"] != "passed"] == ["holdout not overused"]
    assert validated(seed=2, max_holdout_days=366).outcome == "passed"


def verdict_rows(verdict):
    return {check["name"]: check["says"] for check in verdict.checks}["enough rows"].split()[0]


def test_reviewers_see_the_verdict_in_mlflow(backend, validated, stack):
    verdict = validated()
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    client = mlflow.MlflowClient()
    version = client.get_model_version(backend.model, "1")
    assert version.tags["verdict"] == "passed"
    assert float(version.tags["score"]) == pytest.approx(verdict.metrics["rmspe"], abs=1e-6)
    assert (version.tags["metric"], len(version.tags["rows_digest"])) == ("rmspe", 64)
    with pytest.raises(mlflow.exceptions.MlflowException, match=r"the tag score of version 1 .* repeats a record"):
        client.set_model_version_tag(backend.model, "1", "score", "0.01")
    assert version.description.startswith(f"PASSED: all {len(verdict.checks)} checks passed; RMSPE ")
    run = client.get_run(version.run_id)
    assert run.data.metrics["holdout/rmspe"] == pytest.approx(verdict.metrics["rmspe"])
    assert {"naive/rmspe", "linear/rmspe", "coverage/bounds_of_95", "slices/rmspe/week 1"} <= set(run.data.metrics)
    assert f"get-artifact?path=plots%2Fholdout.png&run_uuid={version.run_id}" in version.description
    report = {file.path for file in client.list_artifacts(version.run_id, "report")}
    assert report == {"report/verdict.json", "report/report.html"}
    plots = {file.path for file in client.list_artifacts(version.run_id, "plots")}
    of_holdout = ("holdout", "forecasts_by_key", "errors_by_period", "errors_by_slice", "residuals", "coverage")
    assert {f"plots/{name}.png" for name in of_holdout} < plots
    html = mlflow.artifacts.load_text(f"runs:/{version.run_id}/report/report.html")
    index = mlflow.artifacts.load_dict(f"runs:/{version.run_id}/plots/holdout_plots.json")
    assert html.count("data:image/png;base64,") == len(plots) - 2
    assert all(f'alt="{each["alt"]}"' in html for each in index["plots"])


def test_a_changed_artifact_is_refused_before_it_is_loaded(backend, build, params, home):
    receipt = register.register(backend, build(1), params)
    path = on_the_server(home, receipt)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(IntegrityBroken, match=r"lightgbm\.txt sha256 mismatch"):
        validate.validate(backend, receipt, build(1), params.policy, params.problem)
    assert stages(backend) == ["None"]
    assert verdicts.latest_verdict(backend.database, backend.model, None) is None


def test_an_artifact_folder_that_is_gone_is_refused(backend, build, params, home):
    receipt = register.register(backend, build(1), params)
    path = on_the_server(home, receipt)
    shutil.rmtree(path.parent)
    with pytest.raises(IntegrityBroken):
        validate.validate(backend, receipt, build(1), params.policy, params.problem)
    assert stages(backend) == ["None"]


def on_the_server(home, receipt):
    """Where the server keeps the LightGBM file of the receipt's version."""
    source = mlflow.MlflowClient().get_model_version(receipt.model, str(receipt.version)).source
    [path] = home.glob(f"artifacts/*/models/{source.removeprefix('models:/')}/**/lightgbm.txt")
    return path


def test_a_verdict_whose_move_was_killed_moves_on_the_next_run(backend, build, params, validated, stack):
    """The verdict was recorded, the process died before the move to Staging."""
    validated(min_scored_rows=10_000_000)
    case_passed = validated()
    client = mlflow.MlflowClient()
    assert case_passed.outcome == "passed"
    assert stages(backend) == [Stage.STAGING]
    assert client.get_model_version(backend.model, "1").current_stage == "Staging"
