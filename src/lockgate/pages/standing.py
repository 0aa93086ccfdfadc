"""How a version stands: in which stage since when, its newest verdict, and which decision is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lockgate.database import intents
from lockgate.database.approvals import Approval, Decision
from lockgate.database.intents import Objection
from lockgate.database.ledger import LedgerRow
from lockgate.database.verdicts import StoredVerdict
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command, Stage
from lockgate.operations.verdict_review import review_of_verdict
from lockgate.operations.workspace import Workspace
from lockgate.reports.review_data import Review
from lockgate.reports.texts import when

IN_PRODUCTION = "version in Production"  # as gate.verdict.scores names its forecast
NO_LEDGER = "before Lockgate recorded moves"


@dataclass(frozen=True)
class Standing:
    """A version in a stage: since when, who brought it there, why, and the review of its newest verdict."""

    version: int
    since: str
    who: str
    why: str
    review: Review | None


def standing(workspace: Workspace, version: int, moves: Sequence[LedgerRow], verdict: StoredVerdict | None) -> Standing:
    """How the version stands after the last of its moves."""
    last = next((row for row in reversed(moves) if row.version == version), None)
    since, who, why = (when(last.at), last.actor, last.reason) if last else (NO_LEDGER, "", "")
    return Standing(version, since, who, why, review_of_verdict(workspace, verdict) if verdict else None)


def score_beside(review: Review) -> str:
    """The score of the version, and that of the version in Production on the same rows; empty without a score."""
    serving = next((row.holdout for row in review.forecasts if row.name == IN_PRODUCTION), "")
    beside = f"; version {review.serving} in Production: {serving}" if serving and review.serving else ""
    return f"{review.metric.label} {review.score}{beside}" if review.score else ""


def objection(workspace: Workspace, version: int) -> Objection | None:
    """What the guard would say now if the visitor promoted the version from Staging; None if nothing is in the way."""
    move = Move(version, Stage.STAGING, Stage.PRODUCTION, Command.PROMOTE, ())
    return intents.objection_to_rise(workspace.database, workspace.intent(move, ""))


def newest_decision(decisions: Sequence[Approval], version: int) -> Approval | None:
    """The decision that counts for the version."""
    return next((each for each in reversed(decisions) if each.version == version), None)


def missing(limits: Mapping[str, object], decision: Approval | None, found: Objection | None) -> str:
    """The decision that a version in Staging waits for, in words."""
    approved = decision is not None and decision.decision == Decision.APPROVED
    if found is None:
        return f"approved by {decision.decided_by}; can be promoted" if approved and decision else "can be promoted"
    if not approved and (limits.get("approval_required") or limits.get("two_persons")):
        return "needs an approval"
    return f"cannot be promoted now: {found.reason}"
