"""Registered versions, opened and scored: their own bytes, verified, on the rows of the holdout."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lockgate.bundle import mlflow_layout, signing, store
from lockgate.database import policies, verdicts, versions
from lockgate.errors import BundleUnreadable, IntegrityBroken
from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import Forecasts
from lockgate.forecaster.interface import Answering
from lockgate.lifecycle.moves import Registered
from lockgate.operations.workspace import Workspace

ROWS_TRIED_ALONE = 25


@dataclass(frozen=True)
class Fetched:
    """A registered version's own files in a private folder, looked at and not opened."""

    version: int
    digest: str
    bundle: Path
    has_signature: bool
    tree_clean: bool | None


@dataclass(frozen=True)
class Opened:
    """A registered version, ready to forecast."""

    version: int
    digest: str
    forecaster: Answering


@contextmanager
def fetched(workspace: Workspace, registered: Registered) -> Iterator[Fetched]:
    """Download a version into a private folder and look at all of it; the bundle proves itself when it is opened.

    Raises IntegrityBroken if the files are not those that were registered, or if nobody recorded what they should be;
    ArtifactMissing is the case that there are none. Where keys are pinned, by the policy in force or by params.yaml
    here, it must be signed by one of them: an old params.yaml does not loosen the policy, and a new one counts at once.
    """
    record = versions.recorded_version(workspace.database, workspace.model, registered.version)
    if record is None:
        raise IntegrityBroken(
            f"version {registered.version} of {workspace.model} has no digest on record",
            hint="it did not enter through lockgate; download its files and bring them in: lockgate register PATH",
        )
    with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
        workspace.registry().download(registered.version, Path(folder))
        found = mlflow_layout.examined(Path(folder), record.bundle_digest, record.files)
        for trusted in (workspace.trusted_keys, policies.trusted_keys(workspace.database, workspace.model)):
            signing.require(found.bundle, record.bundle_digest, trusted)
        yield Fetched(registered.version, record.bundle_digest, found.bundle, found.has_signature, record.tree_clean)


@contextmanager
def opened(workspace: Workspace, registered: Registered) -> Iterator[Opened]:
    """Fetch a version and open its bundle; one that no trial has seen alive is opened by a child before.

    Raises IntegrityBroken if the bytes are not those that were registered; BundleUnreadable if the child did not live.
    """
    with fetched(workspace, registered) as version:
        failure = None if _seen_alive(workspace, version) else sandboxed.failure_to_open(version.bundle, version.digest)
        if failure:
            raise BundleUnreadable(
                f"version {version.version} of {workspace.model} cannot be opened: {failure.reason}",
                hint="train another one: dvc repro",
            )
        yield Opened(version.version, version.digest, store.load(version.bundle, version.digest))


def _seen_alive(workspace: Workspace, version: Fetched) -> bool:
    """Whether the newest verdict on the version rests on forecasts that it gave."""
    verdict = verdicts.latest_verdict(workspace.database, workspace.model, version.version)
    return verdict is not None and bool(verdict.metrics)


def verify(workspace: Workspace, registered: Registered) -> None:
    """Open a version and let it go again: IntegrityBroken unless it is whole and forecasts its own probe."""
    with opened(workspace, registered):
        pass


def alone_places(rows: pd.DataFrame) -> tuple[int, ...]:
    """Which rows are forecast one by one as well: some, spread evenly."""
    return tuple(sorted({int(place) for place in np.linspace(0, len(rows) - 1, ROWS_TRIED_ALONE)}))


def batch_gap(forecasts: Forecasts, places: Sequence[int]) -> float:
    """The largest relative difference between rows forecast alone and in the batch; NaN if none could be."""
    taken = forecasts.covered[list(places)]
    together, alone = forecasts.together[list(places)][taken], forecasts.alone[taken]
    gaps = np.abs(alone - together) / np.maximum(np.abs(together), 1.0)
    return float(np.max(gaps)) if len(gaps) else float("nan")
