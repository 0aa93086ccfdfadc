"""What DVC offers around a pipeline: queued experiments, a remote, worktrees and shallow clones."""

import hashlib
import time
from pathlib import Path

import pytest
from clone import Clone, commit

pytestmark = pytest.mark.long
SECONDS = 400  # until a queue is given up; an experiment takes a few of them


def test_experiments_run_in_a_queue_at_once_or_by_a_worker_in_the_background_and_are_applied(clone: Clone) -> None:
    clone.repro()
    clone.run("git", "add", "dvc.lock")
    clone.run("git", "commit", "--quiet", "--message", "trained")
    queued = ("dvc", "exp", "run", "--queue", "--name")
    clone.run(*queued, "seed-8", "--set-param", "seed=8")
    clone.run("dvc", "exp", "run", "--run-all", timeout=SECONDS)
    clone.run(*queued, "seed-9", "--set-param", "seed=9")
    clone.run("dvc", "queue", "start")
    deadline = time.monotonic() + SECONDS
    while (shown := clone.run("dvc", "queue", "status").out).count("Success") < 2:
        assert "Failed" not in shown, clone.run("dvc", "queue", "logs", "seed-9").out
        assert time.monotonic() < deadline, shown
        time.sleep(1)
    assert len(clone.stages()) == 3
    clone.run("dvc", "exp", "apply", "seed-9")
    clone.repro()  # the receipt is of this folder: it is found again by the bundle's digest
    assert len(clone.stages()) == 3
    bundle = hashlib.sha256((clone.folder / "build/bundle/manifest.json").read_bytes()).hexdigest()
    assert clone.read("build/version.json")["bundle_digest"] == bundle


def test_a_worktree_and_a_shallow_clone_take_what_was_pushed(clone: Clone, tmp_path: Path) -> None:
    """No stage runs again in them but those that write to the registry."""
    clone.repro()
    commit(clone, "trained")
    clone.run("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"))
    commit(clone, "a remote")
    clone.run("dvc", "push")
    clone.run("git", "worktree", "add", "--quiet", str(tmp_path / "worktree"))
    clone.run("git", "clone", "--quiet", "--depth", "1", f"file://{clone.folder}", str(tmp_path / "shallow"))
    for name in ("worktree", "shallow"):
        other = Clone(tmp_path / name, clone.services)
        other.run("make", "--silent", ".dvc/config.local")
        other.run("dvc", "pull", "prepare", "train")
        said = other.run("dvc", "repro", "--pull").out
        assert "Running stage 'train'" not in said
        assert other.read("build/version.json") == clone.read("build/version.json")
