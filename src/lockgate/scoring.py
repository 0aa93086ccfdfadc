"""Registered versions, opened and scored: their own bytes, verified, on the rows of the holdout."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.backend import Backend
from lockgate.errors import IntegrityBroken
from lockgate.forecast import bundle
from lockgate.forecast.answering import Answering
from lockgate.lifecycle import Registered

Floats = NDArray[np.float64]

ROWS_TRIED_ALONE = 25


@dataclass(frozen=True)
class Opened:
    """A registered version, ready to forecast."""

    version: int
    digest: str
    forecaster: Answering
    has_signature: bool


@contextmanager
def opened(backend: Backend, registered: Registered) -> Iterator[Opened]:
    """Download a version into a private folder, verify its manifest against the digest on record, and open it.

    Raises IntegrityBroken if the bytes are not those that were registered, or if nobody recorded what they should be.
    """
    if registered.bundle_digest is None:
        raise IntegrityBroken(
            f"version {registered.version} of {backend.model} has no digest on record",
            hint="it did not enter through lockgate; register it with: dvc repro",
        )
    with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
        download = backend.registry().download(registered.version, Path(folder))
        forecaster = bundle.load(download.bundle, registered.bundle_digest)
        yield Opened(registered.version, registered.bundle_digest, forecaster, download.has_signature)


def verify(backend: Backend, registered: Registered) -> None:
    """Open a version and let it go again: IntegrityBroken unless it is whole and forecasts its own probe."""
    with opened(backend, registered):
        pass


def batch_gap(forecaster: Answering, rows: pd.DataFrame, together: Floats) -> float:
    """The largest relative difference between rows forecast alone and in the batch, over rows spread evenly.

    NaN without rows.
    """
    if not len(rows):
        return float("nan")
    places = np.unique(np.linspace(0, len(rows) - 1, ROWS_TRIED_ALONE).astype(int))
    alone = np.array([forecaster.predict(rows.iloc[[place]])[0] for place in places])
    return float(np.max(np.abs(alone - together[places]) / np.maximum(np.abs(together[places]), 1.0)))
