"""The page of the monitor: its rules on the newest windows, and the forecasts on record."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate.database import log_summary
from lockgate.errors import LockgateError
from lockgate.lifecycle import moves
from lockgate.operations.workspace import Workspace
from lockgate.pages import child
from lockgate.problem.params import load_params
from lockgate.reports.page import Sheet
from lockgate.reports.texts import when
from lockgate.system import project

DAYS = 7
KEPT_SECONDS = 60.0
NO_PROJECT = (
    "The rules of the monitor are in params.yaml of the project, and this server knows no project of the model."
    " In its folder: "
)


@dataclass(frozen=True)
class Rule:
    """A rule of the monitor, its state, and what was measured."""

    name: str
    state: str
    says: str


@dataclass(frozen=True)
class Monitoring:
    """What one round of the monitor said, in the words of `lockgate monitor`."""

    heading: tuple[str, ...]
    rules: tuple[Rule, ...]
    counts: tuple[str, ...]
    sheets: tuple[Sheet, ...]
    command: str
    why: str


@dataclass(frozen=True)
class MonitoringView:
    """The round, or why there is none; `log` counts the forecasts on record of the last days."""

    model: str
    found: Monitoring | None
    no_project: str
    refusal: LockgateError | None
    log: Sheet


@dataclass
class Rounds:
    """The rounds of the monitor, each kept for a minute."""

    turn: child.Turn
    _kept: dict[tuple[str, int | None], tuple[float, Monitoring]] = field(default_factory=dict)

    def of(self, workspace: Workspace, folder: Path) -> Monitoring:
        """The newest round on the model's project. Raises the refusal of the monitor."""
        state = workspace.state()
        serving = state.serving()
        key = (workspace.model, serving.version if serving else None)
        with self.turn.taken():
            kept = self._kept.get(key)
            if kept and time.monotonic() - kept[0] < KEPT_SECONDS:
                return kept[1]
            wanted = [serving.version] if serving else []
            with child.fetched(workspace, [*wanted, *moves.good_productions(state)[:1]]) as files:
                found = _read(child.ask("monitor", workspace.model, str(files), folder=folder))
            self._kept[key] = (time.monotonic(), found)
            return found


def view(workspace: Workspace, rounds: Rounds) -> MonitoringView:
    """The view of the model's monitor."""
    counts = log_summary.since(workspace.database, workspace.model, DAYS)
    rows = tuple(
        (each.role, str(each.version), f"{each.rows:,}", str(each.degraded), when(each.newest)) for each in counts
    )
    heads = ("role", "version", "rows", "degraded", "newest (UTC)")
    log = Sheet(f"Forecasts on record of the last {DAYS} days", heads, rows, words=2)
    folder = project_of(workspace.model)
    if folder is None:
        return MonitoringView(workspace.model, None, NO_PROJECT, None, log)
    try:
        return MonitoringView(workspace.model, rounds.of(workspace, folder), "", None, log)
    except LockgateError as refusal:
        return MonitoringView(workspace.model, None, "", refusal, log)


def project_of(model: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder of the project whose model this is, in or below a folder of LOCKGATE_PROJECTS."""
    named = environment.get(project.PROJECTS_VARIABLE, "")
    return next((each for folder in named.split(os.pathsep) if folder for each in _projects(Path(folder), model)), None)


def _projects(folder: Path, model: str) -> Iterator[Path]:
    for depth in ("", "*/", "*/*/"):
        for found in sorted(folder.glob(f"{depth}{project.MARKS[0]}")):
            if project.find(found.parent) == found.parent and _model_of(found) == model:
                yield found.parent


def _model_of(params: Path) -> str | None:
    try:
        return load_params(params).model_name
    except LockgateError:
        return None


def _read(answer: Mapping[str, Any]) -> Monitoring:
    """The words that the child has printed."""
    sheets = (Sheet(title, tuple(heads), tuple(map(tuple, rows))) for title, heads, rows in answer["sheets"])
    return Monitoring(
        heading=tuple(answer["heading"]),
        rules=tuple(Rule(*rule) for rule in answer["rules"]),
        counts=tuple(answer["counts"]),
        sheets=tuple(sheets),
        command=answer["command"],
        why=answer["why"],
    )
