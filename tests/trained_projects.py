"""Small projects that the stage scripts have trained, by seed; kept in .pytest_cache for each state of the code."""

import fcntl
import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[1]
KEPT = PROJECT / ".pytest_cache" / "trained"
SMALL = {"seed": 7, "stores": 12, "days": 500, "noise": 0.04}


def folder_of(seed: int) -> Path:
    """The project that is trained with this seed. One process trains it, the others wait for it."""
    folder = KEPT / _state_of_the_code() / f"seed {seed}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.partial")
            _train(partial, seed)
            partial.rename(folder)
    return folder


@cache
def _state_of_the_code() -> str:
    """A digest of all that a training rests on, and of this file."""
    paths = [*sorted((PROJECT / "src").rglob("*.py")), *sorted((PROJECT / "pipelines").glob("*.py"))]
    found = hashlib.sha256()
    for path in (*paths, PROJECT / "params.yaml", PROJECT / "requirements.lock", Path(__file__)):
        found.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def _train(folder: Path, seed: int) -> None:
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params |= {"seed": seed, "threads": 1, "source": "generated", "generator": SMALL}
    params["training"]["max_rounds"] = 30
    params["gate"]["min_scored_rows"] = 100
    (folder / "data" / "raw").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for words in (["prepare.py", "data/raw", "data/prepared"], ["train.py", "data/prepared", "build"]):
        command = [sys.executable, str(PROJECT / "pipelines" / words[0]), *words[1:]]
        subprocess.run(command, cwd=folder, check=True, timeout=600, capture_output=True)
