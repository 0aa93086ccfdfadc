"""The version that answers: the one from the registry, or the verified copy while the registry is unavailable."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from time import monotonic

from lockgate.errors import AccessRefused, ArtifactMissing, IntegrityBroken, StateConflict, Unavailable
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.lifecycle.model_state import ModelState, Registered
from lockgate.lifecycle.stages import Stage
from lockgate.operations import load_version, verified_copy
from lockgate.operations.load_version import Opened, Recorded
from lockgate.operations.verified_copy import LONGEST_AGE, Record
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log.record import Role, Scorer
from lockgate.system import timeouts

REACH_SECONDS = 5.0  # a registry that needs longer counts as unavailable if there is a copy
HOW_TO_FILL = {
    Stage.PRODUCTION: "promote one with: lockgate promote VERSION",
    Stage.STAGING: "let the gate judge one: dvc repro, or lockgate validate VERSION",
}
DATABASE_SECONDS = 4.0  # libpq counts whole seconds


@dataclass(frozen=True)
class FallbackTerms:
    """Whether the verified copy may answer, and its longest age."""

    allowed: bool = True
    longest_age: timedelta = LONGEST_AGE


DEFAULT_TERMS = FallbackTerms()


@dataclass(frozen=True)
class Degraded:
    """Why the verified copy answers; `alarm`: the registry answers, but has lost the files of Production."""

    version: int
    verified_at: datetime
    because: str
    alarm: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """The lines for the user."""
        lines = [f"DEGRADED: {self}"]
        if self.alarm:
            lines.append(
                f"ALARM: the files of version {self.version} in Production are gone from the artifact store; restore "
                "them from a backup, or: lockgate rollback"
            )
        return tuple(lines)

    def __str__(self) -> str:
        age = verified_copy.in_words(datetime.now(UTC) - self.verified_at)
        return f"version {self.version}, verified {age} ago, because {self.because}"


@dataclass(frozen=True)
class AnsweringVersion:
    """A version that is ready to forecast, and its stage. `degraded`: it is the verified copy.

    `production_since`: when it came to Production, if it is there and Postgres answers. `remarks` are
    sentences for the user, such as that the copy could not be kept.
    """

    model: str
    opened: Opened
    stage: Stage
    degraded: Degraded | None = None
    remarks: tuple[str, ...] = ()
    production_since: datetime | None = None

    @property
    def version(self) -> int:
        """The number of the version."""
        return self.opened.version

    @property
    def forecaster(self) -> ForecasterProtocol:
        """Its forecaster."""
        return self.opened.forecaster

    def scorer(self, role: Role) -> Scorer:
        """The version as the prediction log names it."""
        return Scorer(
            self.model, self.version, self.opened.digest, str(self.stage), role, degraded=self.degraded is not None
        )


@dataclass(frozen=True)
class _Known:
    """What Postgres says of the chosen version, and of the others."""

    state: ModelState
    chosen: Registered
    record: Recorded


def load(
    workspace: Workspace, chosen: Stage | int, terms: FallbackTerms, copy_to: Path | None = None
) -> AnsweringVersion:
    """The version in a stage, or with this number, from the registry; it is kept as the copy if it is in Production.

    While the registry is unavailable, and when it has lost the files of Production, the copy answers for Production and
    for its own number. It does not for a refused login, for no version in Production or for a failed integrity check.
    With a copy, the registry has REACH_SECONDS to answer. The verified files of the bundle are also copied into the new
    folder `copy_to`. Raises the errors of the registry, and IntegrityBroken for an unfit copy.
    """
    copy = verified_copy.peek(workspace) if terms.allowed else None
    if not terms.allowed or not _may_replace(workspace, chosen, copy):
        return _of_registry(workspace, _known(workspace, chosen), copy_to)
    known: _Known | None = None
    hurried, until = workspace.hurried(DATABASE_SECONDS, REACH_SECONDS), monotonic() + REACH_SECONDS
    try:
        known = _known(hurried, chosen)
        _reach(hurried, until)
        return _of_registry(hurried, known, copy_to)
    except AccessRefused:
        raise
    except (Unavailable, ArtifactMissing) as failure:
        with _after(failure):
            found = verified_copy.opened(workspace, terms.longest_age, copy_to)
        return _of_copy(found, known, failure)


def _may_replace(workspace: Workspace, chosen: Stage | int, copy: Record | None) -> bool:
    """Whether the copy may answer for the chosen version; a copy that cannot be read is refused when it is needed."""
    path = verified_copy.place(workspace)
    if path is None or not path.is_file():
        return False
    return chosen is Stage.PRODUCTION or (copy is not None and chosen == copy.version)


def _known(workspace: Workspace, chosen: Stage | int) -> _Known:
    """The chosen version, its record and the state of the model, as of one moment."""

    def read() -> _Known:
        state = workspace.state()
        found = _chosen(state, chosen)
        return _Known(state, found, load_version.recorded(workspace, found.version))

    return workspace.database.read_one_moment(read)


def _chosen(state: ModelState, chosen: Stage | int) -> Registered:
    if isinstance(chosen, int):
        return state.find(chosen)
    found = state.in_stage(chosen)
    if found is None:
        raise StateConflict(f"no version of {state.model} is in {chosen}", hint=HOW_TO_FILL[chosen])
    return found


def _reach(workspace: Workspace, until: float) -> None:
    """Raise Unavailable unless the registry answers a read until then; the time of imports does not count."""
    started = monotonic()
    import lockgate.registry.client  # noqa: F401 - it takes seconds

    left = max(0.1, until - started)
    late = Unavailable(f"the registry did not answer within {REACH_SECONDS:g} s", hint="try again, or see its log")
    with timeouts.within(left, late):
        workspace.registry().read()


def _of_registry(workspace: Workspace, known: _Known, copy_to: Path | None) -> AnsweringVersion:
    chosen = known.chosen
    with load_version.opened(workspace, known.record) as version:
        if copy_to and version.bundle:
            copytree(version.bundle, copy_to)
        remarks = tuple(_kept(workspace, known, version)) if chosen.stage is Stage.PRODUCTION else ()
        since = _production_since(known, chosen.version)
        return AnsweringVersion(workspace.model, replace(version, bundle=None), chosen.stage, None, remarks, since)


def _production_since(known: _Known | None, version: int) -> datetime | None:
    if known is None or (known.chosen.version, known.chosen.stage) != (version, Stage.PRODUCTION):
        return None
    return known.state.last_arrival()


def _kept(workspace: Workspace, known: _Known, version: Opened) -> Iterator[str]:
    """Keep the version as the copy; yields a remark if that fails, because the forecasts do not need the copy."""
    try:
        verified_copy.keep(workspace, version, tuple(known.record.trusted_keys))
    except OSError as failure:
        where = verified_copy.place(workspace)
        yield f"the copy for an unavailable registry was not kept: {failure.strerror} ({where})"


def _of_copy(
    found: tuple[Record, Opened] | None, known: _Known | None, failure: Unavailable | ArtifactMissing
) -> AnsweringVersion:
    """The copy in place of the registry; raises `failure` if it may not answer, or if there is none."""
    if found is None:
        raise failure
    record, version = found
    because = failure.message if known is None else _because(failure, known, record)
    degraded = Degraded(record.version, record.verified_at, because, isinstance(failure, ArtifactMissing))
    since = _production_since(known, record.version)
    return AnsweringVersion(record.model, version, Stage.PRODUCTION, degraded, (), since)


def _because(failure: Unavailable | ArtifactMissing, known: _Known, record: Record) -> str:
    """The reason in words. Raises IntegrityBroken or `failure` if Postgres, which answers, speaks against the copy."""
    about = f"the verified copy of version {record.version}"
    registered = next((each for each in known.state.versions if each.version == record.version), None)
    if registered is None or registered.bundle_digest != record.digest:
        raise IntegrityBroken(f"{about} is not of this registry", hint=verified_copy.REMOVE) from failure
    if known.state.quarantined(record.version):
        failure.hint = f"{about} may not answer: a rollback took this version out of Production"
        raise failure
    if known.chosen.version == record.version:
        return failure.message
    if isinstance(failure, ArtifactMissing):
        raise failure
    return f"{failure.message}; version {known.chosen.version} is in Production now"


@contextmanager
def _after(failure: Unavailable | ArtifactMissing) -> Iterator[None]:
    """Name the failure of the registry, too, in a refusal of the copy."""
    try:
        yield
    except (Unavailable, IntegrityBroken) as refusal:
        refusal.message = f"{failure.message}; {refusal.message}"
        raise
