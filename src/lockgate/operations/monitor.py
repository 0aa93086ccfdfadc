"""One round of the monitor: reads the log, the truth and the snapshot of the version, and names the next command."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lockgate.bundle import store
from lockgate.bundle.snapshot import Snapshot
from lockgate.database import request_counts, versions
from lockgate.errors import ArtifactMissing, LockgateError, StateConflict, Unavailable
from lockgate.evaluation.slices import Background
from lockgate.lifecycle import moves
from lockgate.lifecycle.model_state import ModelState
from lockgate.monitoring.advice import advice
from lockgate.monitoring.findings import Findings, Production, Terms, findings
from lockgate.monitoring.live import Live
from lockgate.monitoring.live_features import LiveFeatures
from lockgate.monitoring.monitored import Monitored
from lockgate.monitoring.replayed import Replay
from lockgate.monitoring.requests import AnswerCount
from lockgate.monitoring.scores import Scorer
from lockgate.monitoring.windows import Windows
from lockgate.operations import live_features, load_version, logged_rows, replay
from lockgate.operations.logged_rows import Read
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem
from lockgate.problem.params import MonitorParams, Params

NO_SNAPSHOT = "version {} has no snapshot of its training rows: it was trained by an earlier release"


@dataclass(frozen=True)
class Order:
    """The problem, the rules, the limit of the metric, the length of a window, the roles, and the prepared folder."""

    problem: Problem
    rules: MonitorParams
    limit: float
    length: timedelta
    roles: tuple[str, ...]
    prepared: Path

    @classmethod
    def of(cls, params: Params, length: timedelta, roles: Sequence[str], prepared: Path) -> "Order":
        """The order by params.yaml; without `monitor.metric.limit`, that of the gate holds."""
        limit = params.gate.limit if params.monitor.metric.limit is None else params.monitor.metric.limit
        return cls(params.problem, params.monitor, limit, length, tuple(roles), prepared)

    def windows(self, now: datetime) -> Windows:
        """As many windows as a rule looks at."""
        rules = self.rules
        return Windows(
            self.length, max(each.windows for each in (rules.metric, rules.coverage, rules.drift, rules.errors)), now
        )


class Inputs:
    """What a watching monitor reads once: the snapshot of each version, and the prepared rows until they change."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._snapshots: dict[int, Snapshot | None] = {}
        self._prepared: tuple[object, tuple[Background, str]] | None = None

    def snapshot(self, version: int) -> tuple[Snapshot | None, str]:
        """The snapshot of a version, verified; or None and the reason."""
        if version not in self._snapshots:
            try:
                self._snapshots[version] = self._read(version)
            except (Unavailable, ArtifactMissing) as error:
                return None, f"the snapshot of version {version} cannot be read: {error}"
        snapshot = self._snapshots[version]
        return snapshot, "" if snapshot else NO_SNAPSHOT.format(version)

    def background(self, problem: Problem, prepared: Path) -> tuple[Background, str]:
        """The training rows in the folder, and a remark without them."""
        state = _state(prepared)
        if self._prepared is None or self._prepared[0] != state:
            self._prepared = state, logged_rows.background(problem, prepared)
        return self._prepared[1]

    def _read(self, version: int) -> Snapshot | None:
        record = load_version.recorded(self._workspace, version)
        with load_version.fetched(self._workspace, record) as fetched:
            return store.snapshot(fetched.bundle, fetched.digest)


def _state(folder: Path) -> object:
    """A value that changes with the files of a folder and its folders."""
    found = [(path.name, path.stat()) for path in sorted(folder.rglob("*"))]
    return [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found]


def monitor(workspace: Workspace, order: Order, inputs: Inputs) -> Monitored:
    """One round. Raises StateConflict if no version is in Production."""
    state = workspace.state()
    production = _production(workspace, state)
    read = logged_rows.read(workspace, order.problem, order.windows(datetime.now(UTC)), order.roles)
    background, without = inputs.background(order.problem, order.prepared)
    snapshot, no_drift = inputs.snapshot(production.version)
    scorer, answers = Scorer(order.problem, background), _answers(workspace, read.windows)
    features, no_features = _features(workspace, production.version, snapshot, read, order.roles)
    terms = Terms(order.rules, order.limit, read.windows, scorer, order.roles, answers, features, no_features)
    found = findings(read.live, snapshot, no_drift, production, terms)
    earlier, no_replay = _earlier(workspace, state, found, read.live, terms)
    remarks = tuple(filter(None, (read.remark, without)))
    told = advice(found, earlier, no_replay)
    return Monitored(workspace.model, order.problem, read.windows, found, earlier, told, remarks)


def _features(
    workspace: Workspace, version: int, snapshot: Snapshot | None, read: Read, roles: Sequence[str]
) -> tuple[LiveFeatures | None, str]:
    """The features of logged rows of a version, or None and why; none without features in its snapshot."""
    if snapshot is None or snapshot.features is None:
        return None, ""
    try:
        return live_features.live_features(workspace, version, read.live.of_roles(roles), read.windows), ""
    except LockgateError as error:
        return None, f"the features of the log cannot be computed: {error}"


def _production(workspace: Workspace, state: ModelState) -> Production:
    serving = state.serving()
    if serving is None:
        raise StateConflict(
            f"no version of {workspace.model} is in Production", hint="promote one with: lockgate promote VERSION"
        )
    rows = versions.stages(workspace.database, workspace.model)
    return Production(serving.version, state.last_arrival(), max((row.created_at for row in rows), default=None))


def _answers(workspace: Workspace, windows: Windows) -> list[AnswerCount]:
    """The requests that servers have answered in the windows."""
    since = windows.now - windows.count * windows.length
    found = request_counts.since(workspace.database, workspace.model, since)
    return [AnswerCount(each.minute, each.status, each.requests) for each in found]


def _earlier(
    workspace: Workspace, state: ModelState, found: Findings, live: Live, terms: Terms
) -> tuple[Replay | None, str]:
    """The replay of the last good version on the rows of the windows, if a rule blames the version in Production."""
    good = moves.good_productions(state)
    if not found.blames_version or not good:
        return None, ""
    recent = live.where(terms.windows.of_truth(live) >= 0).of_version(found.production.version)
    try:
        return replay.score_again(workspace, good[0], recent, terms.scorer.background), ""
    except LockgateError as error:
        return None, f"version {good[0]} could not be tried: {error}"
