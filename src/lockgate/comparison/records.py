"""Reads the record of a version: from schema lockgate, from its MLflow run, and from the files beside its bundle."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any

from lockgate.database import verdicts, versions
from lockgate.database.verdicts import StoredVerdict
from lockgate.database.versions import Version, VersionRow
from lockgate.errors import StateConflict
from lockgate.operations.workspace import Workspace
from lockgate.reports import run_metrics
from lockgate.reports.record_diff import Scores, Shares, Texts

if TYPE_CHECKING:
    from lockgate.registry.run_log import RunRead

ALL_FOLDS, INNER_FOLDS = "all", "inner folds"
IMPORTANCES = ("tables/importances.csv", "importances.csv")  # now, and in an earlier release
OF_TRAINING = (run_metrics.WEIGHTS, run_metrics.ROUNDS, run_metrics.TRAINING)  # metrics that are in no other table


@dataclass(frozen=True)
class VerdictSummary:
    """The newest verdict on a version, with the digests of its holdout and policy."""

    id: int
    outcome: str
    decided_at: datetime
    holdout_digest: str
    policy_digest: str


@dataclass(frozen=True)
class Side:
    """A version with its stage, bundle, run and newest verdict."""

    version: int
    stage: str
    bundle_digest: str | None
    run_id: str | None
    created_at: datetime
    verdict: VerdictSummary | None


@dataclass(frozen=True)
class Record:
    """The record of a version. Missing parts are None, and `missing` has a sentence for each."""

    side: Side
    scores: Scores
    params: Texts | None
    importances: Shares | None
    lineage: Texts | None
    missing: tuple[str, ...]


def record(workspace: Workspace, version: int) -> Record:
    """The record of a version.

    Raises StateConflict if there is no such version, and Unavailable if MLflow does not answer.
    """
    workspace.state().find(version)
    row = next(row for row in versions.stages(workspace.database, workspace.model) if row.version == version)
    verdict = verdicts.latest_verdict(workspace.database, workspace.model, version)
    registered = versions.recorded_version(workspace.database, workspace.model, version)
    run = _run(workspace, row)
    importances = _shares(run.file) if run and run.file else None
    return Record(
        side=_side(row, verdict),
        scores=_scores(verdict, registered, run),
        params=_params(run) if run else None,
        importances=importances,
        lineage=_lineage(workspace, registered) if registered else None,
        missing=tuple(_missing(row, registered, run, importances)),
    )


def _run(workspace: Workspace, row: VersionRow) -> "RunRead | None":
    try:
        return workspace.registry().read_run(row.run_id, *IMPORTANCES) if row.run_id else None
    except StateConflict:  # the run was deleted for good
        return None


def _params(run: "RunRead") -> Texts:
    """The run's params without the digest, which MLflow puts among them: it differs in any two versions."""
    return {name: text for name, text in run.params.items() if name != "bundle_digest"}


def _missing(
    row: VersionRow, registered: Version | None, run: "RunRead | None", importances: Shares | None
) -> Iterable[str]:  # fmt: skip
    if registered is None:
        yield f"version {row.version} was registered outside Lockgate: its lineage and inner scores are not on record"
    if run is None:
        yield f"version {row.version} has no run in MLflow: its params and importances are not known"
    elif importances is None:
        yield f"the run of version {row.version} holds no {IMPORTANCES[0]} that can be read"


def _side(row: VersionRow, verdict: StoredVerdict | None) -> Side:
    seen = _verdict_summary(verdict) if verdict else None
    return Side(row.version, row.stage, row.bundle_digest, row.run_id, row.created_at, seen)


def _verdict_summary(verdict: StoredVerdict) -> VerdictSummary:
    looked_at = verdict.digests
    return VerdictSummary(
        verdict.id, verdict.outcome, verdict.decided_at, looked_at.holdout_digest, looked_at.policy_digest
    )


def _scores(verdict: StoredVerdict | None, registered: Version | None, run: "RunRead | None") -> Scores:
    judged = {("verdict", name): value for name, value in sorted(verdict.metrics.items())} if verdict else {}
    logged = {run_metrics.current_name(name): value for name, value in run.metrics.items()} if run else {}
    trained = {("training", name): value for name, value in sorted(logged.items()) if name.startswith(OF_TRAINING)}
    return {**judged, **_inner_scores(registered.lineage if registered else {}), **trained}


def _inner_scores(kept: Mapping[str, Any]) -> Scores:
    """Each member's scores on the inner folds, all of them together and one by one."""
    return {
        (_fold(row["fold"]), f"{row['member']} {name}"): float(value)
        for row in kept.get("candidates", ())
        for name, value in row.items()
        if name not in ("member", "fold") and isinstance(value, int | float)
    }


def _fold(fold: str) -> str:
    return INNER_FOLDS if fold == ALL_FOLDS else f"fold {fold}"


def _lineage(workspace: Workspace, registered: Version) -> Texts:
    kept: Mapping[str, Any] = registered.lineage
    packages = dict(
        line.split("==", 1) for line in workspace.registry().requirements(registered.version) if "==" in line
    )
    sources = {name: str(value) for name, value in kept.get("lineage", {}).items()}
    return sources | {f"package {name}": number for name, number in packages.items()}


def _shares(content: bytes) -> Shares | None:
    """The run's importances; None if the file is not one that the training leaves."""
    try:
        lines = csv.DictReader(content.decode().splitlines(), strict=True)
        shares = {(line["member"], line["feature"]): float(line["share"]) for line in lines}
    except (ValueError, KeyError, TypeError, csv.Error):
        return None
    return shares if all(map(isfinite, shares.values())) else None
