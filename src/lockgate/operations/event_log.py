"""The event log of a model: moves, verdicts, decisions of reviewers and changes of the policy, in order."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import accumulate

from lockgate.database import approvals, ledger, policies, verdicts
from lockgate.database.ledger import LedgerRow
from lockgate.database.policies import PolicyChange
from lockgate.database.verdicts import StoredVerdict
from lockgate.lifecycle.stages import Stage
from lockgate.operations.workspace import Workspace


@dataclass(frozen=True)
class Event:
    """One event; `what` is the command of a move, and `details` holds all recorded fields."""

    kind: str
    at: datetime
    version: int | None
    what: str
    who: str
    why: str
    details: Mapping[str, object]


def events(workspace: Workspace) -> list[Event]:
    """All events of the model, oldest first; moves in the order of the ledger, even if clocks differed."""
    moves = [
        Event("move", row.at, row.version, row.command, row.actor, row.reason, asdict(row)) for row in _rows(workspace)
    ]
    latest = accumulate((move.at for move in moves), max)
    placed = [*zip(latest, moves, strict=True), *((event.at, event) for event in _decisions(workspace))]
    return [event for _, event in sorted(placed, key=lambda pair: pair[0])]


def live(workspace: Workspace, at: datetime) -> LedgerRow | None:
    """The move that brought the version in Production at that moment there; None if Production was empty."""
    last: dict[int, LedgerRow] = {row.version: row for row in ledger.read(workspace.database, workspace.model, at)}
    return next((row for row in last.values() if row.to_stage == Stage.PRODUCTION), None)


def _rows(workspace: Workspace) -> list[LedgerRow]:
    return list(ledger.read(workspace.database, workspace.model))


def _decisions(workspace: Workspace) -> Iterator[Event]:
    """Verdicts, decisions of reviewers, and changes of the policy."""
    where = (workspace.database, workspace.model)
    for verdict in verdicts.of_model(*where):
        yield Event(
            "verdict", verdict.decided_at, verdict.version, f"verdict {verdict.outcome}", verdict.actor,
            _failed(verdict), asdict(verdict),
        )  # fmt: skip
    for given in approvals.of_model(*where):
        yield Event("approval", given.at, given.version, given.decision, given.decided_by, given.reason, asdict(given))
    changes = policies.changes(*where)
    for before, change in zip([None, *changes], changes, strict=False):
        yield Event("policy", change.at, None, "new policy", change.actor, _changed(change, before), asdict(change))


def _failed(verdict: StoredVerdict) -> str:
    failed = [f"{check['name']}: {check['says']}" for check in verdict.checks if check["outcome"] != "passed"]
    return "; ".join(failed) or f"all of {len(verdict.checks)} checks"


def _changed(change: PolicyChange, before: PolicyChange | None) -> str:
    """The digest of the policy, and the limits that differ from those of the previous policy."""
    known = before.limits if before else change.limits
    limits = [f"{name} {value}" for name, value in change.limits.items() if known.get(name) != value]
    return ": ".join(filter(None, [change.policy_digest[:12], ", ".join(limits)]))
