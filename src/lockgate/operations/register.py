"""Registers a bundle as a version, once: a registered bundle is found by its digest."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lockgate.bundle import manifest
from lockgate.database import versions
from lockgate.database.versions import Registration
from lockgate.errors import StateConflict, Unavailable
from lockgate.operations import cleanup, sbom
from lockgate.operations.stage_files import Build, Receipt
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params
from lockgate.system import timeouts

if TYPE_CHECKING:
    from lockgate.registry.client import Registry
    from lockgate.registry.run_log import Contents, RunRecord


TIME_LIMIT_IN_CALLS = 30  # time limit of a registration, in time limits of one call; it makes about a hundred calls


class Source(Protocol):
    """Where a bundle comes from: a build of the pipeline, or a path that the user names."""

    @property
    def bundle(self) -> Path:
        """The bundle's folder."""

    def contents(self, digest: str) -> "Contents":
        """The files and data that MLflow stores as the version."""

    def record(self) -> "RunRecord":
        """The record on the run of the version."""


@dataclass(frozen=True)
class Trained:
    """The build of the train stage."""

    made: Build
    params: Params

    @property
    def bundle(self) -> Path:
        """The bundle's folder."""
        return self.made.bundle

    # pandas, matplotlib and mlflow are imported only in these methods: to find a registered version, they are not
    # needed

    def contents(self, digest: str) -> "Contents":
        """The bundle with an example from the holdout."""
        from lockgate.operations import run_record

        return run_record.contents(self.made, digest, self.params.problem)

    def record(self) -> "RunRecord":
        """The whole training: params, metrics, curves, data, lineage."""
        from lockgate.operations import run_record

        return run_record.record(self.made, self.params)


def register(workspace: Workspace, made: Build, params: Params) -> Receipt:
    """The register stage: the version that holds the bundle of the build, registered now if there is none."""
    return enter(workspace, Trained(made, params))


def enter(workspace: Workspace, source: Source) -> Receipt:
    """Find the version that holds the bundle, or register it with its run, in None; then delete failed registrations.

    Raises StateConflict if the version that held it was deleted from MLflow, and Unavailable after the time limit of
    TIME_LIMIT_IN_CALLS calls.
    """
    digest = manifest.digest(source.bundle)
    budget = TIME_LIMIT_IN_CALLS * workspace.timeout
    with timeouts.within(budget, _too_slow(budget)):
        receipt = find(workspace, digest) or _enter(workspace, source, digest)
        cleanup.forget_tries(workspace, digest)
    return receipt


def find(workspace: Workspace, digest: str) -> Receipt | None:
    """The receipt of the version that holds this bundle, None if the bundle is not registered.

    Raises StateConflict if the version was deleted from MLflow.
    """
    known = versions.version_of_digest(workspace.database, workspace.model, digest)
    if known is None:
        return None
    _require_not_deleted(workspace, known.version)
    return Receipt(workspace.model, known.version, known.run_id, digest)


def _enter(workspace: Workspace, source: Source, digest: str) -> Receipt:
    with workspace.lock():
        record = replace(source.record(), sbom=sbom.of_environment(workspace.model, digest))
        registry = workspace.registry()
        record = replace(record, tags={**record.tags, **_sweep_of(registry, record)})
        version, run_id = registry.find_or_create(source.contents(digest), record)
        _require_in_database(workspace, version)
        kept = {
            "lineage": record.tags,
            "params": dict(record.params),
            "candidates": _without_nan(record.candidates.to_dict("records")),
            "files": registry.files_around(version),
            "sbom": registry.sbom(run_id),
        }
        known = versions.record_version(
            workspace.database, Registration(workspace.model, version, digest, run_id, kept)
        )
    return Receipt(workspace.model, known.version, known.run_id, digest)


def _sweep_of(registry: "Registry", record: "RunRecord") -> dict[str, str]:
    """Tags that name the sweep that chose the settings of a training, and how many trials it compared; {} without."""
    from lockgate.registry import sweep_runs

    chosen = sweep_runs.chosen_by(registry, record.about, record.settings) if record.settings else None
    if chosen is None:
        return {}
    return {"sweep": chosen.sweep, "sweep_trial": str(chosen.trial), "sweep_trials": str(chosen.trials)}


def _require_in_database(workspace: Workspace, version: int) -> None:
    """Raise StateConflict if this Postgres does not have the version: MLflow may use another database."""
    if version not in {row.version for row in versions.stages(workspace.database, workspace.model)}:
        raise StateConflict(
            f"the MLflow server created version {version} of {workspace.model}; this database has none",
            where=workspace.database.address,
            hint="MLFLOW_TRACKING_URI must name the server that keeps its registry in LOCKGATE_DATABASE_URL",
        )


def _too_slow(budget: float) -> Unavailable:
    return Unavailable(
        f"the servers are too slow: after {budget:g} s the bundle was not registered yet",
        hint="repeat the command, which continues, or give each call more time: --timeout or LOCKGATE_TIMEOUT",
    )


def _require_not_deleted(workspace: Workspace, version: int) -> None:
    if version not in {row.version for row in versions.stages(workspace.database, workspace.model)}:
        last = next((entry for entry in reversed(workspace.state().ledger) if entry.version == version), None)
        raise StateConflict(
            f"version {version} of {workspace.model} held this bundle and was deleted from MLflow"
            + (f" at {last.at:%F %T %Z} by {last.actor} ({last.command})" if last else ""),
            hint="restore it from a backup, or train another one, for example with another seed",
        )


def _without_nan(rows: list[dict[Hashable, Any]]) -> list[dict[str, Any]]:
    """The rows with None for a score that is unknown: JSON has no NaN."""
    return [{str(name): None if value != value else value for name, value in row.items()} for row in rows]
