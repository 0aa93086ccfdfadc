"""gate.auto_promote: a passed version goes to Production without a person, and the guard decides as for a person."""

from collections.abc import Callable

import pytest

from lockgate.database import ledger
from lockgate.database.verdicts import StoredVerdict
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.stages import Stage
from lockgate.operations import promote, review, rollback
from lockgate.operations.auto_promotion import promote_by_policy
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params, Policy

YES = MoveRequest("by hand", dry_run=False, confirm=lambda move: None)
Passed = Callable[..., StoredVerdict]


def policy_of(params: Params, **changes: bool) -> Policy:
    return params.policy.model_copy(update=changes)


def stage(backend: Workspace, version: int) -> Stage:
    return backend.state().find(version).stage


def test_a_passed_version_stays_in_staging_by_default(backend: Workspace, passed: Passed, params: Params) -> None:
    assert promote_by_policy(backend, passed(1), params.policy) == ""
    assert stage(backend, 1) is Stage.STAGING


def test_with_the_key_it_goes_to_production_with_its_verdict_as_evidence(
    backend: Workspace, passed: Passed, params: Params
) -> None:
    verdict, policy = passed(1, auto_promote=True), policy_of(params, auto_promote=True)
    assert f"on verdict {verdict.id}" in promote_by_policy(backend, verdict, policy)
    assert stage(backend, 1) is Stage.PRODUCTION
    row = ledger.read(backend.database, backend.model)[-1]
    assert (row.command, row.verdict_id, row.reason) == (
        "promote", verdict.id, f"gate.auto_promote: verdict {verdict.id} passed",
    )  # fmt: skip
    assert row.policy_digest == policy_digest(policy)
    assert promote_by_policy(backend, verdict, policy) == ""  # it is there already


@pytest.mark.parametrize("rule", ["approval_required", "two_persons"])
def test_a_missing_approval_wins(rule: str, backend: Workspace, passed: Passed, params: Params) -> None:
    changes = {"auto_promote": True, rule: True}
    told = promote_by_policy(backend, passed(1, **changes), policy_of(params, **changes))
    assert "was not promoted by gate.auto_promote" in told
    assert "lockgate approve 1" in told
    assert stage(backend, 1) is Stage.STAGING


def test_with_its_approval_it_goes(backend: Workspace, passed: Passed, params: Params) -> None:
    changes = {"auto_promote": True, "approval_required": True}
    verdict = passed(1, **changes)
    review.approve(backend, 1, "looks good", "rita")
    assert "went to Production" in promote_by_policy(backend, verdict, policy_of(params, **changes))


def test_a_version_that_a_rollback_took_out_does_not_come_back(
    backend: Workspace, passed: Passed, params: Params
) -> None:
    policy = policy_of(params, auto_promote=True)
    passed(1, auto_promote=True)
    promote.promote(backend, YES, None, policy_digest(policy), None)
    second = passed(2, auto_promote=True)
    assert "went to Production" in promote_by_policy(backend, second, policy)
    rollback.rollback(backend, YES, None)
    assert "quarantined" in promote_by_policy(backend, second, policy)
    assert stage(backend, 1) is Stage.PRODUCTION
