"""The first load of a model from elsewhere, in a child process: it may crash, hang or eat memory, and we live on.

The child is `python -m lockgate.evaluation.sandboxed_load` in a private folder, which holds what it works on:
task.json, and later result.json, which says what it found or which refusal it ended with.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lockgate import errors
from lockgate.errors import GateRefused, LockgateError
from lockgate.system import sandbox
from lockgate.system.sandbox import Limits

TASK, RESULT = "task.json", "result.json"
LIMITS = Limits(wall_seconds=120, cpu_seconds=120, memory_bytes=4 << 30, file_bytes=2 << 30)
EXAMPLE_ROWS = 5

Json = dict[str, Any]


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

    Raises what `bundle.load` raises, GateRefused if the child dies of it or it is too slow or big.
    """
    return _facts(in_child("open", {"digest": digest}, folder))


def make_bundle(folder: Path, described: Json) -> Facts:
    """Make `folder`/bundle of the native file `folder`/booster, described by library, columns, target and window.

    Raises what `adoption.adopt` raises, and what `open_bundle` does.
    """
    return _facts(in_child("make", described, folder))


def in_child(task: str, given: Json, folder: Path, limits: Limits = LIMITS) -> Json:
    """Do a task of TASKS in a process of its own, in a private folder; what it gave back, or the refusal it met.

    Raises GateRefused if the process did not come to its end.
    """
    (folder / TASK).write_text(json.dumps([task, given, asdict(limits)]), encoding="utf-8")
    ended = sandbox.run(__name__, folder, limits)
    if ended:
        raise GateRefused(
            f"the model cannot be opened: {ended}", hint="is its file whole? save it again, or a smaller one"
        )
    result: Json = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    if refusal := result.get("refusal"):
        raise getattr(errors, refusal.pop("kind"))(refusal.pop("message"), **refusal)
    found: Json = result["found"]
    return found


def _facts(found: Json) -> Facts:
    return Facts(**found | {"members": tuple(found["members"])})


def main(folder: Path) -> None:
    """The child: limits first, then the task, then the result."""
    task, given, limits = json.loads((folder / TASK).read_text(encoding="utf-8"))
    sandbox.enter(Limits(**limits))
    try:
        result = {"found": TASKS[task](folder, given)}
    except MemoryError:
        result = _refusal(GateRefused("the model needs more memory than it may have", hint="bring a smaller one"))
    except LockgateError as refusal:
        result = _refusal(refusal)
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")


def _refusal(refusal: LockgateError) -> Json:
    said = {name: getattr(refusal, name) for name in ("message", "where", "hint")}
    return {"refusal": {"kind": type(refusal).__name__, **said}}


def _open(folder: Path, given: Json) -> Json:
    return _told(folder / "bundle", given["digest"])


def _make(folder: Path, given: Json) -> Json:
    from lockgate.bundle import external_conversion, store
    from lockgate.data import dataset
    from lockgate.features import known_inputs
    from lockgate.forecaster.external import Meaning, NativeFile, Window

    adopted = external_conversion.adopt(
        NativeFile(given["library"], (folder / "booster").read_bytes()),
        Meaning(tuple(given["columns"]), given["target"]),
        known_inputs.store_attributes(dataset.read(Path(given["prepared"]), "stores")),
        Window(**given["window"]),
    )
    return _told(folder / "bundle", store.save(adopted, folder / "bundle"))


def _told(folder: Path, digest: str) -> Json:
    """Facts, as JSON."""
    from lockgate.bundle import store

    opened = store.load(folder, digest)
    return {
        "digest": digest,
        "members": opened.members,
        "trained_until": opened.origin.isoformat(),
        "horizon_days": opened.horizon_days,
        "example": {name: values[:EXAMPLE_ROWS] for name, values in store.probe_rows(folder).items()},
    }


TASKS: dict[str, Callable[[Path, Json], Json]] = {"open": _open, "make": _make}

if __name__ == "__main__":
    main(Path.cwd())
