"""A version that is registered and goes to Staging on a passed verdict by hand, without scoring."""

from typing import Any

from lockgate.data.data_card import read_card
from lockgate.database import policies, verdicts
from lockgate.database.verdicts import Digests, StoredVerdict, Verdict
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle import moves
from lockgate.operations import register
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params


def passed_by_hand(backend: Workspace, build: Build, params: Params, **limits: Any) -> StoredVerdict:
    """Register a build and move it to Staging; `limits` change the policy."""
    receipt, policy = register.register(backend, build, params), params.policy.model_copy(update=limits)
    policies.put_in_force(backend.database, backend.model, policy, backend.actor)
    serving = backend.state().serving()
    holdout = read_card(build.prepared)["holdout"]["digest"]
    against = serving.bundle_digest if serving else None
    bound_to = Digests(receipt.bundle_digest, holdout, policy_digest(policy), against)
    checks = [{"name": "within limit", "outcome": "passed", "says": "by hand"}]
    given = Verdict(
        backend.model, receipt.version, bound_to, "passed", checks, {"rmspe": 0.09}, "c0ffee", backend.actor
    )
    stored = verdicts.record_verdict(backend.database, given)
    with backend.lock() as lock:
        move = moves.staging(backend.state(), stored.version)
        assert move is not None
        lock.carry_out(move, f"verdict {stored.id} passed")
    return stored
