"""A copy of the project in a folder of its own, used as its user would: by commands."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
FOREIGN = ("MLFLOW_", "LOCKGATE_", "DVC_", "GIT_", "PG", "PYTHONPATH")
SECONDS = 600.0  # until a command is given up; on a busy machine a pipeline takes minutes
OF_THE_TESTERS_OWN_RUNS = "dvc.lock"
GIT_IDENTITY = {f"GIT_{who}_{what}": "anna" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The JSON that it printed."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Clone:
    """A folder with the project's files under git; `services` are the variables that name MLflow and Postgres."""

    folder: Path
    services: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What its user's shell has: this Python first, the copy's own code, nothing of the tester's own services."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        ours = {"PATH": path, "PYTHONPATH": str(self.folder / "src"), "LOCKGATE_ACTOR": "anna", "COLUMNS": "120"}
        threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONUNBUFFERED": "1"}
        return kept | ours | threads | GIT_IDENTITY | dict(self.services)

    def run(self, *words: str, code: int = 0, timeout: float = SECONDS, **variables: str) -> Done:
        """Run a command in the folder; it must end with this exit code."""
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment | variables, capture_output=True, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Done(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *words: str, **variables: str) -> Iterator["subprocess.Popen[str]"]:
        """A command that runs beside the test; at the end it and all that it started are killed."""
        process = subprocess.Popen(
            words, cwd=self.folder, env=self.environment | variables, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            end_group(process)

    def lockgate(self, *words: str, code: int = 0) -> Done:
        """Run `lockgate`."""
        return self.run("lockgate", *words, code=code)

    def repro(self, **variables: str) -> Done:
        """Run `dvc repro`, which has to succeed."""
        return self.run("dvc", "repro", **variables)

    def set_params(self, **values: Any) -> None:
        """Change params.yaml as an editor would; `gate__limit` is limit under gate."""
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text())
        for name, value in values.items():
            *sections, key = name.split("__")
            place = params
            for section in sections:
                place = place[section]
            place[key] = value
        path.write_text(yaml.safe_dump(params, sort_keys=False))

    def read(self, name: str) -> Any:
        """A JSON file of the folder."""
        return json.loads((self.folder / name).read_text())

    def copy(self, folder: Path, problem: str) -> "Clone":
        """A copy, with all that was made so far, for another problem and so for a model of its own."""
        shutil.copytree(self.folder, folder, symlinks=True)
        clone = Clone(folder, self.services)
        (folder / ".dvc/config.local").unlink()  # it names the folder
        clone.run("make", "--silent", ".dvc/config.local")
        clone.set_params(problem__name=problem)
        return clone

    def stages(self) -> dict[int, str]:
        """Version: stage."""
        return {line["version"]: line["stage"] for line in self.lockgate("list", "--json").json()}

    def moves(self) -> list[tuple[int, str, str, str]]:
        """(version, from, to, command) of each move in the history."""
        rows = self.lockgate("history", "--json").json()
        return [
            (row["version"], row["from_stage"], row["to_stage"], row["command"])
            for row in rows
            if row["kind"] == "move"
        ]


def clone_of_project(folder: Path, services: Mapping[str, str]) -> Clone:
    """The project's files (all that git does not ignore, committed or not) in a fresh repository with one commit."""
    clone = Clone(folder, services)
    folder.mkdir()
    clone.run("git", "init", "--quiet")
    listed = clone.run("git", "--work-tree", str(PROJECT), "ls-files", "--others", "--exclude-standard", "-z", ":/")
    for name in filter(None, listed.out.split("\0")):
        if Path(name).name == OF_THE_TESTERS_OWN_RUNS:
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, folder / name)
    clone.run("make", "--silent", ".dvc/config.local")
    return clone


def commit(clone: Clone, message: str) -> None:
    """Commit all that is not ignored."""
    clone.run("git", "add", "--all")
    clone.run("git", "commit", "--quiet", "--message", message)


def make_small(clone: Clone) -> None:
    """Params with which the whole pipeline takes seconds."""
    clone.set_params(
        threads=1,
        source="generated",
        generator={"seed": 7, "stores": 12, "days": 500, "noise": 0.04},
        training__fold_ends_days_ago=[0],
        training__max_rounds=30,
        gate__min_scored_rows=100,
        gate__over_serving=0.05,
    )


def lend_environment(clone: Clone) -> None:
    """Give the clone this Python's environment, so that `make` has nothing to install."""
    environment = clone.folder / ".venv"
    environment.mkdir()
    for part in BIN.parent.iterdir():
        if part.name != ".installed":
            (environment / part.name).symlink_to(part)
    (environment / ".installed").touch()


def end_group(process: "subprocess.Popen[str]") -> None:
    """Kill a process that leads its session, with its children, and wait for it."""
    if process.stdout:
        process.stdout.close()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
