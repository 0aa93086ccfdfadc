"""The version that answers: found by its stage, verified, opened and warmed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pandas as pd

from lockgate.forecaster.answers import by_column
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.lifecycle.model_state import ModelState
from lockgate.lifecycle.stages import Stage
from lockgate.operations import answering_version
from lockgate.operations.answering_version import FallbackTerms
from lockgate.operations.workspace import Workspace
from lockgate.problem.confidence import DEFAULT
from lockgate.problem.description import Problem
from lockgate.serving.messages import tell
from lockgate.serving.request_body import Reader

INEXACT = frozenset({"sklearn", "onnx"})  # the gate allows them a difference of rounding


@dataclass(frozen=True)
class Place:
    """The version in a stage."""

    version: int
    digest: str | None


@dataclass(frozen=True)
class LiveVersion:
    """A version that is ready to answer. `degraded` says why a fallback answers; "" for the version of the stage."""

    model: str
    version: int
    digest: str
    stage: Stage
    since: datetime | None
    forecaster: ForecasterProtocol
    degraded: str = ""

    @property
    def problem(self) -> Problem:
        """The problem that it was trained for, whatever params.yaml says now."""
        return self.forecaster.problem

    @cached_property
    def reader(self) -> Reader:
        """Reads requests for it."""
        return Reader(self.problem)

    @property
    def is_exact(self) -> bool:
        """Whether a row has the very same forecast in every batch. Networks and estimators of others may differ."""
        return not INEXACT.intersection(self.forecaster.members)

    def takes_what(self, other: "LiveVersion") -> bool:
        """Whether it takes the same requests as another version."""
        return self._described == other._described

    @cached_property
    def _described(self) -> str:
        return self.problem.model_dump_json()


def in_stage(state: ModelState, stage: Stage) -> Place | None:
    """The version that is in the stage now, or None. Raises StateConflict if there are two."""
    found = state.in_stage(stage)
    if found is None:
        return None
    return Place(found.version, found.bundle_digest)


def _since(state: ModelState, stage: Stage, version: int) -> datetime | None:
    """The time since which the version is in the stage; None where the ledger does not say."""
    entered = (each.at for each in reversed(state.ledger) if (each.version, each.to_stage) == (version, stage))
    return next(entered, None)


def load(workspace: Workspace, stage: Stage, terms: FallbackTerms) -> LiveVersion:
    """The version in the stage: downloaded, verified, opened and warmed; a fallback only if the terms allow one.

    Raises StateConflict without a version in the stage, IntegrityBroken if its files are not the registered ones or
    cannot be opened, Unavailable if they cannot be fetched. A version without a verdict is opened by a child process
    first.
    """
    found = answering_version.load(workspace, stage, terms)
    for remark in found.remarks:
        tell(f"warning: {remark}")
    for line in found.degraded.warnings if found.degraded else ():
        tell(line)
    since = None if found.degraded else _since(workspace.state(), stage, found.version)
    degraded = str(found.degraded) if found.degraded else ""
    live = LiveVersion(workspace.model, found.version, found.opened.digest, stage, since, found.forecaster, degraded)
    warm(live, found.opened.probe)
    return live


def warm(live: LiveVersion, probe: Mapping[str, list[Any]]) -> None:
    """Answer the rows of the probe once together, and the first one alone, so that no request pays for a first call."""
    rows = pd.DataFrame(probe)
    by_column(live.forecaster, rows, DEFAULT)
    if live.problem.kind != "state":
        by_column(live.forecaster, rows.head(1), DEFAULT)
