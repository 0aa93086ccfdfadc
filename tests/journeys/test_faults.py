"""Whatever happens to `dvc repro`, a bundle becomes one version."""

import contextlib
import subprocess
import time

import psutil
import pytest
from clone import Clone

pytestmark = pytest.mark.long


SECONDS = 600


def test_two_repros_at_once_register_one_version(clone: Clone) -> None:
    """One may be told by DVC that the other is at work (255); a repro afterwards finds all done."""
    clone.set_params(seed=9)
    with clone.running("dvc", "repro") as one, clone.running("dvc", "repro") as other:
        told = [process.communicate(timeout=SECONDS)[0] for process in (one, other)]
        codes = sorted([one.returncode, other.returncode])
    assert codes in ([0, 0], [0, 255])
    if 255 in codes:
        assert any("blocked by" in text or "lock" in text for text in told)
    assert clone.stages() == {1: "Staging"}
    clone.repro()
    assert clone.stages() == {1: "Staging"}


def test_a_killed_dvc_whose_trainer_lives_on_registers_one_version(clone: Clone) -> None:
    clone.set_params(seed=10)
    with clone.running("dvc", "repro") as killed:
        trainer = _trainer_of(killed)
        killed.kill()
        killed.wait(timeout=SECONDS)
        assert trainer.is_running()
        clone.repro()
    assert clone.stages() == {1: "Staging"}
    assert clone.lockgate("status", "--json").json()["broken"] == []


def _trainer_of(dvc: "subprocess.Popen[str]") -> psutil.Process:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and dvc.poll() is None:
        for child in psutil.Process(dvc.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # a stage before it, gone by now
                if child.cmdline()[1:2] == ["pipelines/train.py"]:
                    return child
        time.sleep(0.02)
    raise AssertionError("dvc repro came to no training")
