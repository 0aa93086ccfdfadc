"""`gate.auto_promote`: a version that has passed is promoted without a person, by the rules that hold for a person."""

from lockgate.database.verdicts import StoredVerdict
from lockgate.errors import StateConflict
from lockgate.gate.evidence import Outcome
from lockgate.gate.verdict import policy_digest
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.promote import promote
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Policy


def promote_by_policy(workspace: Workspace, found: StoredVerdict, policy: Policy) -> str:
    """Promote the version of a passed verdict if the policy says so; what became of it as a sentence, "" if nothing.

    The ledger's reason names the verdict. Where the guard objects (a missing approval, a quarantine, an expired
    verdict), the version stays where it is.
    """
    if not policy.auto_promote or found.outcome != Outcome.PASSED:
        return ""
    reason = f"gate.auto_promote: verdict {found.id} passed"
    request = MoveRequest(reason, dry_run=False, confirm=lambda move: None)
    try:
        move = promote(workspace, request, found.version, policy_digest(policy), None)
    except StateConflict as refusal:
        return f"version {found.version} was not promoted by gate.auto_promote: {refusal}; {refusal.hint}"
    return f"version {found.version} went to Production by gate.auto_promote, on verdict {found.id}" if move else ""
