"""The version that answers: found by its stage, verified, opened and warmed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pandas as pd

from lockgate.errors import StateConflict
from lockgate.forecaster.answers import answers
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.lifecycle.model_state import ModelState
from lockgate.lifecycle.stages import Stage
from lockgate.operations import load_version
from lockgate.operations.workspace import Workspace
from lockgate.problem.confidence import DEFAULT
from lockgate.problem.description import Problem
from lockgate.serving.request_body import Reader


@dataclass(frozen=True)
class Place:
    """The version in a stage, and the time since which it is there; None where the ledger does not say."""

    version: int
    digest: str | None
    since: datetime | None


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
    entered = (each.at for each in reversed(state.ledger) if (each.version, each.to_stage) == (found.version, stage))
    return Place(found.version, found.bundle_digest, next(entered, None))


def required_in_stage(workspace: Workspace, stage: Stage) -> Place:
    """The version that is in the stage now. Raises StateConflict if there is none."""
    found = in_stage(workspace.state(), stage)
    if found is None:
        command = "lockgate promote VERSION" if stage is Stage.PRODUCTION else "lockgate validate VERSION"
        raise StateConflict(f"no version of {workspace.model} is in {stage}", hint=f"put one there with: {command}")
    return found


def load(workspace: Workspace, place: Place, stage: Stage) -> LiveVersion:
    """Download, verify, open and warm a version.

    Raises IntegrityBroken if its files are not the registered ones or cannot be opened, Unavailable if they cannot be
    fetched. A version without a verdict is opened by a child process first.
    """
    record = load_version.recorded(workspace, place.version)
    with load_version.opened(workspace, record) as opened:
        live = LiveVersion(workspace.model, opened.version, opened.digest, stage, place.since, opened.forecaster)
        warm(live, opened.probe)
    return live


def warm(live: LiveVersion, probe: Mapping[str, list[Any]]) -> None:
    """Answer the rows of the probe once together, and the first one alone, so that no request pays for a first call."""
    rows = pd.DataFrame(probe)
    answers(live.forecaster, rows, DEFAULT)
    if live.problem.kind != "state":
        answers(live.forecaster, rows.head(1), DEFAULT)
