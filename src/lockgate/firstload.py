"""The first load of a model from elsewhere, in a child process: it may crash, hang or eat memory, and we live on.

`python -m lockgate.firstload FOLDER` is the child. FOLDER is private and holds what it works on: task.json, and later
result.json, which says what it found or which refusal it ended with.
"""

import json
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lockgate import errors
from lockgate.errors import GateRefused, IntegrityBroken, LockgateError

TASK, RESULT, SAID = "task.json", "result.json", "said.txt"
LARGEST_FILE = 2 << 30
EXAMPLE_ROWS = 5
OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "annot allocate memory", "failed to map")
SMOTHERED = "the model could not be opened in time or memory"

NOT_HANDED_DOWN = ("MLFLOW_", "LOCKGATE_", "PG", "AWS_")  # where the services are, and who we are there

Json = dict[str, Any]


@dataclass(frozen=True)
class Limits:
    """What the child may use: seconds, and bytes of address space, of which the libraries alone take 0.9 GiB."""

    seconds: float = 120.0
    memory: int = 6 << 30


@dataclass(frozen=True)
class Facts:
    """What an opened bundle says of itself."""

    digest: str
    members: tuple[str, ...]
    trained_until: str
    horizon_days: int
    example: Mapping[str, list[Any]]  # a few raw rows that it can forecast, by column


def open_bundle(folder: Path, digest: str) -> Facts:
    """Open `folder`/bundle, which should have this digest, and let it forecast its probe.

    Raises what `bundle.load` raises, IntegrityBroken if the child dies of it, GateRefused if it is too slow or big.
    """
    return _facts(in_child("open", {"digest": digest}, folder))


def make_bundle(folder: Path, described: Json) -> Facts:
    """Make `folder`/bundle of the native file `folder`/booster, described by library, columns, target and window.

    Raises what `adoption.adopt` raises, and what `open_bundle` does.
    """
    return _facts(in_child("make", described, folder))


def in_child(task: str, given: Json, folder: Path, limits: Limits = Limits()) -> Json:
    """Do a task of TASKS in a process of its own, in a private folder; what it gave back, or the refusal it met."""
    asked = {"task": task, "given": given, "limits": asdict(limits)}
    (folder / TASK).write_text(json.dumps(asked), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "lockgate.firstload", str(folder)]
    with (folder / SAID).open("wb") as said:
        try:
            done = subprocess.run(  # noqa: S603 - this very Python, on a folder of our own
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=limits.seconds, check=False,
                env=_environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise GateRefused(SMOTHERED, where=f"{limits.seconds:g} s", hint="bring a smaller model") from None
    return _outcome(done.returncode, folder)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_HANDED_DOWN)}
    return kept | {"OMP_NUM_THREADS": "1"}


def _facts(found: Json) -> Facts:
    return Facts(**found | {"members": tuple(found["members"])})


def _outcome(code: int, folder: Path) -> Json:
    try:
        result: Json = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _died(code, (folder / SAID).read_text(errors="replace")) from None
    if refusal := result.get("refusal"):
        raise getattr(errors, refusal.pop("kind"))(refusal.pop("message"), **refusal)
    found: Json = result["found"]
    return found


def _died(code: int, said: str) -> LockgateError:
    if any(word in said for word in OUT_OF_MEMORY) or code == -signal.SIGXCPU:
        return GateRefused(SMOTHERED, hint="bring a smaller model")
    how = signal.Signals(-code).name if code < 0 else f"exit {code}"
    last = ascii((said.splitlines() or [""])[-1][:200])[1:-1]
    return IntegrityBroken(
        f"opening the model ended the process ({how})", where=last, hint="the file is damaged; save it again"
    )


def main(folder: Path) -> None:
    """The child: limits first, then the task, then the result in one piece."""
    asked = json.loads((folder / TASK).read_text(encoding="utf-8"))
    _limit(Limits(**asked["limits"]))
    try:
        result = {"found": TASKS[asked["task"]](folder, asked["given"])}
    except LockgateError as refusal:
        said = {name: getattr(refusal, name) for name in ("message", "where", "hint")}
        result = {"refusal": {"kind": type(refusal).__name__, **said}}
    partial = folder / f"{RESULT}.part"
    partial.write_text(json.dumps(result), encoding="utf-8")
    partial.replace(folder / RESULT)


def _limit(limits: Limits) -> None:
    for limit, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, math.ceil(limits.seconds)),
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _open(folder: Path, given: Json) -> Json:
    return _told(folder / "bundle", given["digest"])


def _make(folder: Path, given: Json) -> Json:
    from lockgate.data import prepared
    from lockgate.forecast import adoption, bundle, known
    from lockgate.forecast.foreign import Meaning, NativeFile, Window

    adopted = adoption.adopt(
        NativeFile(given["library"], (folder / "booster").read_bytes()),
        Meaning(tuple(given["columns"]), given["target"]),
        known.traits(prepared.read(Path(given["prepared"]), "stores")),
        Window(**given["window"]),
    )
    return _told(folder / "bundle", bundle.save(adopted, folder / "bundle"))


def _told(folder: Path, digest: str) -> Json:
    """Facts, as JSON."""
    from lockgate.forecast import bundle

    opened = bundle.load(folder, digest)
    return {
        "digest": digest,
        "members": opened.members,
        "trained_until": opened.origin.isoformat(),
        "horizon_days": opened.horizon_days,
        "example": {name: values[:EXAMPLE_ROWS] for name, values in bundle.probe_rows(folder).items()},
    }


TASKS: dict[str, Callable[[Path, Json], Json]] = {"open": _open, "make": _make}

if __name__ == "__main__":
    main(Path(sys.argv[1]))
