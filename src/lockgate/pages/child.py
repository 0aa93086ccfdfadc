"""Work for which the MLflow server does not open a bundle itself: a child process does it, and ends.

`python -m lockgate.pages.child TASK WORDS...` prints its result, or a refusal, as JSON. It reads the database that
LOCKGATE_DATABASE_URL names, and the files of versions that the server has fetched into a folder.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lockgate import errors
from lockgate.errors import ArtifactMissing, IntegrityBroken, LockgateError, Unavailable
from lockgate.lifecycle.model_state import Registered
from lockgate.operations.workspace import Workspace

SECONDS = 180.0
WAIT_SECONDS = 10.0


def verified(workspace: Workspace, registered: Registered) -> None:
    """Fetch a version with the rights of the visitor, and open it in a child.

    Raises IntegrityBroken unless it is complete and repeats its stored forecasts.
    """
    with fetched(workspace, [registered.version]) as folder:
        ask("verify", workspace.model, str(registered.version), str(folder))


@contextmanager
def fetched(workspace: Workspace, versions: Iterable[int]) -> Iterator[Path]:
    """A folder with the files of these versions, each in a folder of its number."""
    with tempfile.TemporaryDirectory(prefix="lockgate-") as name:
        for version in versions:
            place = Path(name, str(version))
            place.mkdir()
            workspace.version_store().download(version, place)
        yield Path(name)


def ask(task: str, *words: str, folder: Path | None = None) -> Any:
    """The result of a task, run in this working folder. Raises the refusal of the child."""
    command = [sys.executable, "-P", "-m", __name__, task, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=folder)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"the task {task} did not end in {SECONDS:g} s", hint="try again") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        sys.stderr.write(done.stderr[-4000:])  # to the log of the MLflow server
        raise IntegrityBroken(
            f"the task {task} ended with {done.returncode} and without a result",
            hint="see the log of the MLflow server, or use the command line",
        ) from None
    if "refusal" in answer:
        kind: type[LockgateError] = getattr(errors, answer["refusal"]["class"], LockgateError)
        raise kind(answer["refusal"]["message"], hint=answer["refusal"]["hint"])
    return answer["result"]


class Turn:
    """Lets one child of the pages run at a time in this server: it needs a core and some memory.

    A waiting page holds a thread of the server, so the wait has a limit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Raises Unavailable if another child runs on."""
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("the server computes the page of another visitor", hint="load the page again in a while")
        try:
            yield
        finally:
            self._lock.release()


class FetchedFiles:
    """The files of versions, as the server has fetched them into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def move(self, version: int, stage: str) -> None:
        """Refused: a child moves nothing."""
        raise errors.WrongUsage(f"version {version} cannot move to {stage} here")

    def download(self, version: int, folder: Path) -> None:
        """Copy the files of the version into a folder. Raises ArtifactMissing if the server has not fetched them."""
        if not (self._folder / str(version)).is_dir():
            raise ArtifactMissing(f"the files of version {version} were not fetched")
        shutil.copytree(self._folder / str(version), folder, symlinks=True, dirs_exist_ok=True)


def _verify(model: str, version: str, folder: str) -> None:
    from lockgate.operations import load_version

    workspace = _workspace(model, Path(folder))
    load_version.verify(workspace, workspace.state().find(int(version)))


def _monitor(model: str, folder: str) -> dict[str, Any]:
    from lockgate.operations import monitor_words
    from lockgate.problem.params import PARAMS_FILE, load_params

    return monitor_words.words(_workspace(model, Path(folder)), load_params(PARAMS_FILE))


TASKS: dict[str, Callable[..., Any]] = {"verify": _verify, "monitor": _monitor}


def _workspace(model: str, folder: Path) -> Workspace:
    from lockgate.pages.site import open_database
    from lockgate.system.service_urls import Addresses

    database, files = open_database(), FetchedFiles(folder)
    addresses = Addresses("", database.address)
    return Workspace(model, addresses, database, "", database.timeout, reached_by=lambda _: files)


def main(task: str, *words: str) -> None:
    """Do the task, and print its result or refusal."""
    try:
        answer = {"result": TASKS[task](*words)}
    except LockgateError as refusal:
        answer = {"refusal": {"class": type(refusal).__name__, "message": str(refusal), "hint": refusal.hint}}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
