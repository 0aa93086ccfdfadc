"""The page of a version: its verdict, the decision that it needs, its record, and its score beside Production."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lockgate.database import policies, verdicts
from lockgate.database.approvals import Approval
from lockgate.database.ledger import LedgerRow
from lockgate.database.verdicts import StoredVerdict
from lockgate.errors import LockgateError, StateConflict
from lockgate.lifecycle.model_state import ModelState
from lockgate.lifecycle.moves import good_productions
from lockgate.lifecycle.stages import Stage
from lockgate.operations import status
from lockgate.operations.verdict_review import review_of_verdict
from lockgate.operations.workspace import Workspace
from lockgate.pages.refusals import NotFound
from lockgate.pages.standing import missing, newest_decision, objection
from lockgate.reports import review_page
from lockgate.reports.page import Sheet
from lockgate.reports.review_data import Review
from lockgate.reports.texts import cell, number, when


@dataclass(frozen=True)
class Choices:
    """What a reviewer can do with the version now, and why not more. `verdict_id` is the verdict that is shown."""

    verdict_id: int | None
    decide: bool
    promote: bool
    return_to: bool
    words: str


@dataclass(frozen=True)
class VersionView:
    """All that the page of a version shows."""

    model: str
    version: int
    stage: str
    run_id: str | None
    facts: tuple[tuple[str, str], ...]
    review: Review | None
    verdict_about: str
    choices: Choices
    serving: int | None
    scores: Sheet | None
    changes: Sheet | None
    metrics: Sheet | None
    candidates: Sheet | None
    lineage: Sheet | None
    decisions: Sheet
    moves: Sheet
    digests: tuple[str, str] | None


def view(workspace: Workspace, version: int) -> VersionView:
    """The view of a version, read as of one moment. Raises NotFound if there never was such a version."""
    return workspace.database.read_one_moment(lambda: _read(workspace, version))


def _read(workspace: Workspace, version: int) -> VersionView:
    try:
        found = status.portrait(workspace, version)
    except LockgateError as refusal:
        raise NotFound(refusal.message, hint="see the versions on the first page") from refusal
    state, record = workspace.state(), found.record
    serving, lineage = state.serving(), record.lineage if record else {}
    review = review_of_verdict(workspace, found.verdict) if found.verdict else None
    return VersionView(
        model=workspace.model,
        version=version,
        stage=stage_name(found.row.stage),
        run_id=found.row.run_id,
        facts=tuple(_facts(found)),
        review=review,
        verdict_about=_about(found.verdict) if found.verdict else "",
        choices=_choices(workspace, state, version, found),
        serving=serving.version if serving else None,
        scores=_scores(review) if review else None,
        changes=_changes(review) if review else None,
        metrics=_metrics(found.verdict) if found.verdict else None,
        candidates=_candidates(lineage),
        lineage=_lineage(lineage),
        decisions=Sheet(
            "Decisions", ("when (UTC)", "decision", "who", "on verdict", "why"),
            tuple(_decision(each) for each in reversed(found.decisions)), words=5,
        ),
        moves=Sheet(
            "Moves", ("when (UTC)", "from", "to", "command", "who", "why"),
            tuple(_move(each) for each in reversed(found.moves)), words=6,
        ),
        digests=_digests(found.verdict),
    )  # fmt: skip


def require_shown_verdict(workspace: Workspace, version: int, shown_id: str) -> None:
    """Raise StateConflict if the newest verdict on the version is another one than the page has shown."""
    newest = verdicts.latest_verdict(workspace.database, workspace.model, version)
    if str(newest.id if newest else "") != shown_id:
        raise StateConflict(
            f"there is a newer verdict on version {version} than the one on your page", hint="read it, and decide again"
        )


def stage_name(name: str) -> str:
    """The stage for a reader; MLflow names the stage of a deleted version differently."""
    return "Deleted" if name == Stage.DELETED else name


def _facts(found: status.Portrait) -> list[tuple[str, str]]:
    bundle = found.record.bundle_digest if found.record else "none: registered outside Lockgate"
    facts = [("Registered", f"{when(found.row.created_at)} UTC"), ("Bundle", bundle)]
    if found.row.stage == Stage.DELETED and found.moves:
        last = found.moves[-1]
        facts.append(("Deleted", f"{when(last.at)} UTC by {last.actor} ({last.command}: {last.reason})"))
    return facts


def _digests(verdict: StoredVerdict | None) -> tuple[str, str] | None:
    """The bundle and the holdout of a verdict."""
    return (verdict.digests.bundle_digest, verdict.digests.holdout_digest) if verdict else None


def _about(verdict: StoredVerdict) -> str:
    return f"Verdict {verdict.id}, {when(verdict.decided_at)} UTC, run by {verdict.actor}"


def _choices(workspace: Workspace, state: ModelState, version: int, found: status.Portrait) -> Choices:
    verdict, stage = found.verdict, found.row.stage
    number_ = verdict.id if verdict else None
    if stage == Stage.PRODUCTION:
        return Choices(number_, False, False, False, "It is in Production.")
    if stage == Stage.STAGING:
        in_the_way = objection(workspace, version)
        words = missing(_limits(workspace), newest_decision(found.decisions, version), in_the_way)
        return Choices(number_, True, in_the_way is None, False, f"It {words}.")
    if stage == Stage.ARCHIVED:
        return _of_archived(state, version, number_)
    if stage == Stage.NONE:
        words = (
            "It waits for its verdict." if verdict is None else f"It stays in None: its verdict is {verdict.outcome}."
        )
        return Choices(number_, True, False, False, words)
    return Choices(number_, False, False, False, "It is deleted.")


def _of_archived(state: ModelState, version: int, verdict_id: int | None) -> Choices:
    if version == state.taken_out_last():
        return Choices(
            verdict_id, False, False, True, "The last rollback took it out of Production; that can be undone."
        )
    if state.quarantined(version):
        return Choices(verdict_id, False, False, False, "It is quarantined: a rollback took it out of Production.")
    if version in good_productions(state):
        return Choices(verdict_id, False, False, True, "It was in Production before, and a rollback can return to it.")
    return Choices(verdict_id, False, False, False, "It is archived and was never in Production.")


def _limits(workspace: Workspace) -> Mapping[str, object]:
    changes = policies.changes(workspace.database, workspace.model)
    return changes[-1].limits if changes else {}


def _scores(review: Review) -> Sheet | None:
    found = review_page.forecasts(review)
    return found if found.rows else None


def _changes(review: Review) -> Sheet | None:
    """The params and the lineage that differ from the version that the verdict compares with."""
    found = review_page.changes(review)
    return found if found and found.rows else None


def _metrics(verdict: StoredVerdict) -> Sheet | None:
    rows = tuple((name, number(value)) for name, value in sorted(verdict.metrics.items()) if isfinite(value))
    return Sheet("All numbers of the verdict", ("metric", "value"), rows) if rows else None


def _candidates(lineage: Mapping[str, Any]) -> Sheet | None:
    rows = lineage.get("candidates") or []
    scores = [name for name in (rows[0] if rows else {}) if name not in ("member", "fold")]
    cells = tuple((str(row["member"]), str(row["fold"]), *(cell(row.get(name)) for name in scores)) for row in rows)
    return Sheet("Candidates by fold", ("candidate", "fold", *scores), cells, words=1) if cells else None


def _lineage(lineage: Mapping[str, Any]) -> Sheet | None:
    rows = tuple((str(name), str(value)) for name, value in (lineage.get("lineage") or {}).items())
    return Sheet("Lineage", ("source", "value"), rows, words=2) if rows else None


def _decision(given: Approval) -> tuple[str, ...]:
    return when(given.at), given.decision, given.decided_by, str(given.verdict_id or "–"), given.reason


def _move(row: LedgerRow) -> tuple[str, ...]:
    return when(row.at), stage_name(row.from_stage), stage_name(row.to_stage), row.command, row.actor, row.reason
