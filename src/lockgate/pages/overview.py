"""The first page: for each model who is live, what waits for a decision, and whether the rules hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.database import approvals, ledger, policies, verdicts
from lockgate.errors import LockgateError
from lockgate.operations import status
from lockgate.operations.status import Line
from lockgate.operations.workspace import Workspace
from lockgate.pages.standing import Standing, missing, newest_decision, objection, standing
from lockgate.reports.review_data import Review


@dataclass(frozen=True)
class Waiting:
    """A version that waits for a decision, its verdict, and the decision that is missing."""

    model: str
    version: int
    review: Review | None
    missing: str


@dataclass(frozen=True)
class ModelCard:
    """One model: the versions in Production and Staging, the queue, and the rules that are broken."""

    model: str
    production: Standing | None
    staging: Standing | None
    waiting: tuple[Waiting, ...]
    newest: Line | None
    versions: int
    deleted: int
    rollback_targets: tuple[int, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True)
class Unreadable:
    """A model whose state cannot be read, and why."""

    model: str
    refusal: LockgateError


def card(workspace: Workspace) -> ModelCard | Unreadable:
    """The card of a model. Raises Unavailable if the database does not answer."""
    try:
        return workspace.database.read_one_moment(lambda: _read(workspace))
    except LockgateError as refusal:
        if refusal.exit_code == 6:
            raise
        return Unreadable(workspace.model, refusal)


def queue(cards: Sequence[ModelCard | Unreadable]) -> tuple[Waiting, ...]:
    """What waits for a decision, over all models."""
    return tuple(waiting for each in cards if isinstance(each, ModelCard) for waiting in each.waiting)


def _read(workspace: Workspace) -> ModelCard:
    where = (workspace.database, workspace.model)
    found, moves, newest = status.status(workspace), ledger.read(*where), verdicts.latest_verdicts(*where)

    def standing_of(line: Line | None) -> Standing | None:
        return standing(workspace, line.version, moves, newest.get(line.version)) if line else None

    staging = standing_of(found.staging)
    last = status.lines(workspace)
    return ModelCard(
        workspace.model,
        standing_of(found.serving),
        staging,
        (_waiting(workspace, staging),) if staging else (),
        last[-1] if last else None,
        found.versions,
        found.deleted,
        found.rollback_targets,
        found.broken,
    )


def _waiting(workspace: Workspace, staging: Standing) -> Waiting:
    where = (workspace.database, workspace.model)
    changes = policies.changes(*where)
    decision = newest_decision(approvals.of_model(*where), staging.version)
    words = missing(changes[-1].limits if changes else {}, decision, objection(workspace, staging.version))
    return Waiting(workspace.model, staging.version, staging.review, words)
