"""The status of a model: stages, newest verdicts, broken invariants. Read from Postgres alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lockgate.database import approvals, coverage, guard, ledger, policies, verdicts
from lockgate.database import versions as database_versions
from lockgate.database.approvals import Approval
from lockgate.database.ledger import LedgerRow
from lockgate.database.verdicts import StoredVerdict
from lockgate.database.versions import Version, VersionRow
from lockgate.gate.verdict import metric_of
from lockgate.lifecycle import invariants, moves
from lockgate.lifecycle.invariants import Facts
from lockgate.lifecycle.stages import Stage
from lockgate.operations.workspace import Workspace


@dataclass(frozen=True)
class Line:
    """One version on one line; `outcome`, `metric` and `score` are those of its newest verdict."""

    version: int
    stage: str
    outcome: str | None
    metric: str | None
    score: float | None
    bundle_digest: str | None
    created_at: datetime


@dataclass(frozen=True)
class Status:
    """The state of a model. `versions` is the number of existing versions, `deleted` that of deleted ones."""

    model: str
    serving: Line | None
    serving_since: datetime | None
    staging: Line | None
    versions: int
    deleted: int
    broken: tuple[str, ...]
    rollback_targets: tuple[int, ...]
    approval_required: bool
    staging_approved: bool


@dataclass(frozen=True)
class Portrait:
    """One version with all its records."""

    row: VersionRow
    record: Version | None
    verdict: StoredVerdict | None
    decisions: tuple[Approval, ...]
    moves: tuple[LedgerRow, ...]


def lines(workspace: Workspace) -> list[Line]:
    """Every version, oldest first."""
    newest = verdicts.latest_verdicts(workspace.database, workspace.model)
    return [
        _line(row, newest.get(row.version)) for row in database_versions.stages(workspace.database, workspace.model)
    ]


def status(workspace: Workspace) -> Status:
    """The version in each stage, and the invariants that are broken, all read in one snapshot of the database."""
    return workspace.database.read_one_moment(lambda: _status(workspace))


def _status(workspace: Workspace) -> Status:
    versions = lines(workspace)
    known = facts(workspace)
    deleted = len(database_versions.deleted(workspace.database, workspace.model))
    policies_so_far = policies.changes(workspace.database, workspace.model)
    decisions = approvals.of_model(workspace.database, workspace.model)
    staging = _first(versions, Stage.STAGING)
    serving = _first(versions, Stage.PRODUCTION)
    return Status(
        model=workspace.model,
        serving=serving,
        serving_since=known.state.last_arrival() if serving else None,
        staging=staging,
        versions=len(versions),
        deleted=deleted,
        broken=tuple(invariants.broken(known)),
        rollback_targets=tuple(moves.good_productions(known.state)),
        approval_required=bool(policies_so_far and policies_so_far[-1].limits.get("approval_required")),
        staging_approved=bool(staging) and _newest_decision(decisions, staging) == "approved",
    )


def facts(workspace: Workspace) -> Facts:
    """The input of the invariants; read it within `one_moment`, because other clients may move versions.

    A model that was never covered has no ledger: of its versions, only the missing cover is a fault.
    """
    rows = ledger.read(workspace.database, workspace.model)
    state = workspace.state()
    covered = coverage.covers(workspace.database, workspace.model)
    in_use = [each for each in state.versions if each.stage in (Stage.STAGING, Stage.PRODUCTION)]
    on = guard.status(workspace.database)
    faults = on.faults if on.installed else ("it is not installed; install it with: lockgate guard install",)
    return Facts(
        state if covered or rows else replace(state, versions=[]),
        database_versions.aliases(workspace.database, workspace.model) if covered or rows else {},
        [*faults, *([] if covered or not (rows or in_use) else [_uncovered(workspace.model)])],
        [*ledger.breaks(rows), *ledger.missing_tail(workspace.database, workspace.model)],
        ledger.unearned(workspace.database, workspace.model),
    )


def _uncovered(model: str) -> str:
    return f"{model} is not covered; put it under the guard with: lockgate guard cover {model}"


def portrait(workspace: Workspace, version: int) -> Portrait:
    """All records of one version, deleted or not. Raises StateConflict if there never was such a version."""
    where = (workspace.database, workspace.model)
    rows = {row.version: row for row in [*database_versions.stages(*where), *database_versions.deleted(*where)]}
    if version not in rows:
        workspace.state().find(version)
    return Portrait(
        rows[version],
        database_versions.recorded_version(workspace.database, workspace.model, version),
        verdicts.latest_verdict(workspace.database, workspace.model, version),
        tuple(each for each in approvals.of_model(workspace.database, workspace.model) if each.version == version),
        tuple(entry for entry in ledger.read(workspace.database, workspace.model) if entry.version == version),
    )


def _line(row: VersionRow, verdict: StoredVerdict | None) -> Line:
    if verdict is None:
        return Line(row.version, row.stage, None, None, None, row.bundle_digest, row.created_at)
    metric = metric_of(verdict.metrics).name
    score = verdict.metrics.get(metric)
    return Line(row.version, row.stage, verdict.outcome, metric, score, row.bundle_digest, row.created_at)


def _first(versions: list[Line], stage: Stage) -> Line | None:
    return next((line for line in versions if line.stage == stage), None)


def _newest_decision(decisions: Sequence[Approval], line: Line | None) -> str | None:
    of_version = [given.decision for given in decisions if line and given.version == line.version]
    return of_version[-1] if of_version else None
