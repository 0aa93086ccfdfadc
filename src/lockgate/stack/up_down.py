"""`lockgate up` and `lockgate down`: a real Postgres and a real MLflow server in the folder `.lockgate`."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lockgate.errors import StateConflict
from lockgate.stack import (
    artifact_location,
    dask_workers,
    embedded_postgres,
    mlflow_server,
    processes,
    root_account,
)
from lockgate.stack.artifact_location import Place
from lockgate.stack.dask_workers import Cluster
from lockgate.system import service_urls
from lockgate.system.service_urls import Addresses

__all__ = ["Place", "Workers", "cluster", "down", "up"]

Tell = Callable[[str], None]
RESTART = "to protect the artifacts of registered versions, run lockgate down, then lockgate up"
NO_PAGES = "for the pages at /lockgate, run lockgate down, then lockgate up"
START_SECONDS = 120.0
STOP_SECONDS = 20.0
LEFTOVER_SECONDS = 3.0
CLUSTER_SECONDS = 10.0  # a cluster that does not answer within them is started anew


class Workers(NamedTuple):
    """The local Dask cluster that `up` should leave: its number of workers, 0 for none, and the memory of each."""

    number: int
    memory: str | None = None


def up(  # noqa: PLR0913 - what a user may choose
    folder: Path,
    *,
    port: int | None = None,
    artifacts: Place | None = None,
    workers: Workers | None = None,
    timeout: float = START_SECONDS,
    tell: Tell,
) -> Addresses:
    """Start the services that do not run, migrate schema lockgate, and return the addresses.

    A second call changes nothing.

    `port` is the port of the MLflow server; without one, 5000 or the next free port is used. `artifacts` is where
    MLflow stores artifacts; without one, the place of the last start is used, at first the folder. `workers` is the
    Dask cluster beside them; without it, a cluster that runs stays. `tell` receives lines of progress. Raises
    StateConflict if the port is taken, if the stack runs on another port, or if its artifacts are in the other place;
    Unavailable if a service does not start in time.
    """
    home = folder.resolve() / service_urls.STATE_FILE.parent
    deadline = time.monotonic() + timeout
    service_urls.forget_libpq_variables()
    _make_private(home)
    with _alone(home, deadline):
        found = _up(home, port, artifacts, deadline, tell)
        if workers is not None:
            _set_cluster(home, workers, deadline, tell)
        return found


def cluster(folder: Path) -> Cluster | None:
    """The local Dask cluster that runs in this folder."""
    home = folder.resolve() / service_urls.STATE_FILE.parent
    return dask_workers.of_record(home, (_read_state(home) or {}).get("dask"))


def has_scheduler(folder: Path) -> bool:
    """Whether the scheduler of the local Dask cluster lives."""
    return dask_workers.has_scheduler(folder.resolve() / service_urls.STATE_FILE.parent)


def down(folder: Path, *, timeout: float = STOP_SECONDS, tell: Tell) -> bool:
    """Stop the services that `up` started in this folder, and keep their data. Returns whether a service ran."""
    home = folder.resolve() / service_urls.STATE_FILE.parent
    stopped = False
    if home.exists():
        with _alone(home, time.monotonic() + timeout):
            stopped = _down(home, timeout)
    tell(f"stopped; the data stays in {home}" if stopped else "nothing is running here")
    return stopped


class _Started(NamedTuple):
    """Which of the two servers this `up` has to start."""

    postgres: bool
    mlflow: bool


def _up(home: Path, port: int | None, artifacts: Place | None, deadline: float, tell: Tell) -> Addresses:
    place = artifacts or _remembered_place(home)
    started = _Started(embedded_postgres.running(home) is None, not mlflow_server.running(home))
    ran_before = embedded_postgres.answers(home)
    try:
        if not ran_before:
            tell(f"starting Postgres{root_account.remark()}")
            embedded_postgres.start(home, deadline)
        serving = _serving_port(home)
        if serving is None:
            artifact_location.refuse_to_lose(home, place, _owners_url(home))
            serving = _start_mlflow(home, port, place, deadline, tell)
        else:
            _refuse_another(home, serving, port, artifacts)
            if ran_before:
                tell("already running")
            if not mlflow_server.stores_at(home, artifact_location.destination(home, place)):
                tell(f"warning: an earlier Lockgate started the MLflow server; {RESTART}")
            elif not mlflow_server.has_pages(home):
                tell(f"warning: an earlier Lockgate started the MLflow server; {NO_PAGES}")
        return _finish(home, serving, place, deadline, tell)
    except BaseException:
        _take_back(home, started)
        raise


def _take_back(home: Path, started: _Started) -> None:
    """Stop only the services that a failed `up` has started."""
    if started.mlflow:
        mlflow_server.stop(home, STOP_SECONDS)
    if started.postgres:
        _down(home, STOP_SECONDS)


def _refuse_another(home: Path, serving: int, port: int | None, artifacts: Place | None) -> None:
    """Raise StateConflict if the running server has another port or another place of artifacts."""
    kept = _remembered_place(home)
    if port not in (None, serving):
        fact = f"the stack runs on port {serving}"
    elif artifacts not in (None, kept):
        fact = f"the artifacts of the running stack are in its {kept}"
    else:
        return
    raise StateConflict(fact, where=str(home), hint="stop it first: lockgate down")


def _down(home: Path, patience: float) -> bool:
    worked = dask_workers.stop(home, patience)
    served = mlflow_server.stop(home, patience)
    ran = embedded_postgres.stop(home, patience)
    if (state := _read_state(home)) is not None:
        _write_state(home, state | {"running": False, "dask": None})
    return worked or served or ran


def _set_cluster(home: Path, wanted: Workers, deadline: float, tell: Tell) -> None:
    """Start the wanted cluster in place of another; one that is as wanted, with the code of this process, stays."""
    state = _read_state(home) or {}
    kept = dask_workers.of_record(home, state.get("dask"))
    if wanted.number:
        memory = dask_workers.memory_of_each(wanted.number, wanted.memory)
        as_wanted = kept is not None and (kept.workers, kept.memory) == (wanted.number, memory)
        if kept and as_wanted and dask_workers.is_usable(home, kept, CLUSTER_SECONDS):
            return
    if dask_workers.stop(home, STOP_SECONDS):
        tell("stopped the Dask cluster")
    _write_state(home, state | {"dask": None})
    if wanted.number:
        tell(f"starting {wanted.number} Dask worker{'s' if wanted.number > 1 else ''}")
        started = dask_workers.start(home, wanted.number, memory, deadline)
        _write_state(home, state | {"dask": dask_workers.as_record(started)})


def _start_mlflow(home: Path, named: int | None, place: Place, deadline: float, tell: Tell) -> int:
    """Start a server and return its port. If another process takes the port meanwhile, the next port is used."""
    artifacts = artifact_location.destination(home, place)
    artifact_location.require_repository(artifacts)
    mlflow_server.stop(home, LEFTOVER_SECONDS)  # a server of a killed `up` or of a crash
    backend = embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE)
    while True:
        port = mlflow_server.choose_port(named)
        if named is None and port != mlflow_server.PREFERRED_PORT:
            tell(f"port {mlflow_server.PREFERRED_PORT} is taken: MLflow uses port {port}")
        tell(f"starting MLflow at {mlflow_server.uri(port)}")
        if mlflow_server.start(home, backend, artifacts, port, deadline):
            return port


def _finish(home: Path, port: int, place: Place, deadline: float, tell: Tell) -> Addresses:
    found = Addresses(mlflow_server.uri(port), _owners_url(home))
    _migrate_and_guard(found.database_url, deadline, tell)
    _write_state(
        home,
        (_read_state(home) or {})
        | {
            "tracking_uri": found.tracking_uri,
            "database_url": found.database_url,
            "port": port,
            "artifacts": place,
            "running": True,
        },
    )
    return found


def _owners_url(home: Path) -> str:
    return embedded_postgres.url(home, embedded_postgres.OWNER)


def _migrate_and_guard(database_url: str, deadline: float, tell: Tell) -> None:
    """Migrate and install the guard. If the registry breaks its rules, print a warning and go on without the guard."""
    from lockgate.database import guard  # SQLAlchemy: not needed by `down`
    from lockgate.database.connection import Database
    from lockgate.database.migrate import migrate

    database = Database(database_url, timeout=max(1.0, deadline - time.monotonic()))
    migrate(database)
    try:
        guard.install(database, actor="lockgate up")
    except StateConflict as violations:
        tell(f"warning: {violations}; {violations.hint}")


def _serving_port(home: Path) -> int | None:
    port = (_read_state(home) or {}).get("port")
    return port if isinstance(port, int) and mlflow_server.answers(home, port) else None


def _remembered_place(home: Path) -> Place:
    kept = (_read_state(home) or {}).get("artifacts")
    return next((place for place in Place if place == kept), Place.FOLDER)


def _read_state(home: Path) -> dict[str, object] | None:
    try:
        state = json.loads((home / "stack.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def _write_state(home: Path, state: dict[str, object]) -> None:
    """Replace the file in one step: a reader never sees half of it."""
    draft = home / "stack.json.new"
    draft.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(home / "stack.json")


def _make_private(home: Path) -> None:
    for folder in (home, home / "logs", artifact_location.folder(home)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)


@contextmanager
def _alone(home: Path, deadline: float) -> Iterator[None]:
    """Allow one `up` or `down` at a time in a folder. The lock ends with its process."""
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not processes.wait_until(lambda: _locked(descriptor), deadline):
            raise StateConflict("another lockgate up or down is running", where=str(home), hint="wait for it to end")
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
