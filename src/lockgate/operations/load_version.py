"""Load a registered version: read its record, download and verify its files, open its bundle."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lockgate.bundle import registered_files, signing, store
from lockgate.database import policies, verdicts, versions
from lockgate.database.verdicts import StoredVerdict
from lockgate.database.versions import Version
from lockgate.errors import BundleUnreadable, IntegrityBroken
from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import Forecasts
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.lifecycle.model_state import Registered
from lockgate.operations.lineage import UNKNOWN
from lockgate.operations.workspace import Workspace

ROWS_TRIED_ALONE = 25


@dataclass(frozen=True)
class Recorded:
    """The record of a registered version in Postgres; `opened_before`: its newest verdict has metrics."""

    version: Version
    trusted_keys: Sequence[str]
    opened_before: bool


@dataclass(frozen=True)
class Fetched:
    """A registered version's files in a private folder, checked but not opened."""

    version: int
    digest: str
    bundle: Path
    has_signature: bool
    tree_clean: bool | None
    rows_digest: str | None  # of the rows on which it was trained; None without a record


@dataclass(frozen=True)
class Opened:
    """A registered version, ready to forecast. `probe` are the raw rows of its probe, by column.

    `bundle` is the folder of its files while the version is open.
    """

    version: int
    digest: str
    forecaster: ForecasterProtocol
    probe: Mapping[str, list[Any]] = field(default_factory=dict)
    bundle: Path | None = None


def recorded(workspace: Workspace, version: int) -> Recorded:
    """The record of a version, read over one connection. Raises IntegrityBroken without a recorded digest."""
    record, keys, verdict = workspace.database.read_one_moment(lambda: _read_record(workspace, version))
    if record is None:
        raise IntegrityBroken(
            f"version {version} of {workspace.model} has no recorded digest",
            hint="it was registered outside Lockgate; download its files and register them: lockgate register PATH",
        )
    return Recorded(record, keys, verdict is not None and bool(verdict.metrics))


def _read_record(workspace: Workspace, version: int) -> tuple[Version | None, list[str], StoredVerdict | None]:
    database, model = workspace.database, workspace.model
    return (
        versions.recorded_version(database, model, version),
        policies.trusted_keys(database, model),
        verdicts.latest_verdict(database, model, version),
    )


@contextmanager
def fetched(workspace: Workspace, record: Recorded) -> Iterator[Fetched]:
    """Download a version into a private folder and check its files; the digest of the bundle is verified on opening.

    Raises IntegrityBroken if the files differ from the registered ones; ArtifactMissing if the store has none;
    StateConflict if the version was deleted meanwhile. With
    trusted keys, the bundle must be signed by one of the keys of the policy in force and by one of params.yaml's.
    """
    version, digest = record.version.version, record.version.bundle_digest
    with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
        with _refusing_deleted(workspace, version):
            workspace.version_store().download(version, Path(folder))
            found = registered_files.examined(Path(folder), digest, record.version.files)
        for trusted in (workspace.trusted_keys, record.trusted_keys):
            signing.require(found.bundle, digest, trusted)
        yield Fetched(
            version, digest, found.bundle, found.has_signature, record.version.tree_clean, _rows_digest(record.version)
        )


def _rows_digest(version: Version) -> str | None:
    kept = version.lineage.get("lineage")
    found = kept.get("rows_digest", UNKNOWN) if isinstance(kept, Mapping) else UNKNOWN
    return None if found == UNKNOWN else str(found)


@contextmanager
def _refusing_deleted(workspace: Workspace, version: int) -> Iterator[None]:
    """Raise StateConflict in place of IntegrityBroken if the version was deleted meanwhile: its files go with it."""
    try:
        yield
    except IntegrityBroken:
        workspace.state().find(version)
        raise


@contextmanager
def opened(workspace: Workspace, record: Recorded) -> Iterator[Opened]:
    """Fetch a version and open its bundle. If no verdict has metrics of its forecasts, a child process opens it first.

    Raises IntegrityBroken if the bytes differ from the registered ones; BundleUnreadable if the child process fails.
    """
    with fetched(workspace, record) as version:
        failure = None if record.opened_before else sandboxed.failure_to_open(version.bundle, version.digest)
        if failure:
            raise BundleUnreadable(
                f"version {version.version} of {workspace.model} cannot be opened: {failure.reason}",
                hint="train another version: dvc repro",
            )
        forecaster = store.load(version.bundle, version.digest)
        probe = store.probe_rows(version.bundle)
        yield Opened(version.version, version.digest, forecaster, probe, version.bundle)


def verify(workspace: Workspace, registered: Registered) -> None:
    """Open a version and close it again.

    Raises IntegrityBroken unless it is complete and repeats its stored forecasts.
    """
    with opened(workspace, recorded(workspace, registered.version)):
        pass


def alone_places(rows: pd.DataFrame) -> tuple[int, ...]:
    """Places of the rows that are also forecast one by one, spread evenly."""
    return tuple(sorted({int(place) for place in np.linspace(0, len(rows) - 1, ROWS_TRIED_ALONE)}))


def batch_gap(forecasts: Forecasts, places: Sequence[int]) -> float:
    """The largest relative difference between rows forecast alone and in the batch; NaN if there is none."""
    taken = forecasts.covered[list(places)]
    together, alone = forecasts.together[list(places)][taken], forecasts.alone[taken]
    gaps = np.abs(alone - together) / np.maximum(np.abs(together), 1.0)
    return float(np.max(gaps)) if len(gaps) else float("nan")
