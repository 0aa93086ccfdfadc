"""Folders and results that are made once for each state of the code, and shared by all workers and later sessions."""

import fcntl
import hashlib
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

PROJECT = Path(__file__).parents[1]
KEPT = PROJECT / ".pytest_cache" / "made"
Result = TypeVar("Result")


def folder(name: str, make: Callable[[Path], object], *sources: str) -> Path:
    """The folder that `make` fills; `sources` are the files of tests that it rests on. Only to be read."""
    found = KEPT / state_of_the_code(*sources) / name
    with _alone(found):
        if not found.exists():
            partial = found.with_name(f"{name}.partial")
            make(partial)
            partial.rename(found)
    return found


def result(key: str, compute: Callable[[], Result], worth_keeping: Callable[[Result], bool]) -> Result:
    """What `compute` returns for this key, which names all that it rests on besides the code."""
    path = KEPT / state_of_the_code() / f"{hashlib.sha256(key.encode()).hexdigest()}.pickle"
    with _alone(path):
        if path.exists():
            kept: Result = pickle.loads(path.read_bytes())
            return kept
        found = compute()
        if worth_keeping(found):
            partial = path.with_suffix(".partial")
            partial.write_bytes(pickle.dumps(found))
            partial.rename(path)
    return found


@cache
def state_of_the_code(*sources: str) -> str:
    """A digest of all code, of the locked packages and of these files of tests."""
    paths = [*sorted((PROJECT / "src").rglob("*.py")), *sorted((PROJECT / "pipelines").glob("*.py"))]
    tests = [PROJECT / "tests" / name for name in (Path(__file__).name, *sources)]
    found = hashlib.sha256()
    for path in (*paths, PROJECT / "params.yaml", PROJECT / "requirements.lock", *tests):
        found.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time makes this path; the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
