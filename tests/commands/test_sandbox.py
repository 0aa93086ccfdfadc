"""A child may do what it likes: its parent goes on, says how it ended, and leaves nothing behind."""

import json

import psutil
import pytest

from lockgate.system import sandbox
from lockgate.system.sandbox import Limits

MIB = 1 << 20
AMPLE = Limits(wall_seconds=30, cpu_seconds=30, memory_bytes=512 * MIB, file_bytes=MIB)
ENTERED = """
from lockgate.system import sandbox
from lockgate.system.sandbox import Limits
sandbox.enter(Limits(wall_seconds={wall}, cpu_seconds=1, memory_bytes=64 << 20, file_bytes=1 << 20))
"""


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Runs a text as the child's module; how it ended."""
    modules, folder = tmp_path / "modules", tmp_path / "folder"
    modules.mkdir()
    folder.mkdir()
    monkeypatch.setattr(sandbox, "PACKAGE_FOLDER", modules)

    def run(text, limits=AMPLE):
        (modules / "some_child.py").write_text(text)
        return sandbox.run("some_child", folder, limits)

    return run


def seen(tmp_path):
    return json.loads((tmp_path / "folder" / "seen.json").read_text())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", None),
        ("import sys; sys.exit(3)", "its process ended with exit code 3"),
        ("raise ValueError", "its process ended with exit code 1"),
        ("import os; os.abort()", "its process was ended by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "its process was ended by SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "its process was ended by SIGKILL"),
    ],
)
def test_how_a_child_ended_is_told(child, text, says):
    assert child(text) == says


def test_a_child_that_hangs_is_ended_and_gone(child, tmp_path):
    """It ignores what can be ignored."""
    text = "import json, os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    text += "open('seen.json', 'w').write(json.dumps(os.getpid())); time.sleep(3600)"
    assert child(text, Limits(1, 30, 512 * MIB, MIB)) == "it did not end within 1 s, or 30 s of CPU time"
    assert not psutil.pid_exists(seen(tmp_path))


@pytest.mark.parametrize(
    ("wall", "text", "says"),
    [
        (30, "while True: pass", "it did not end within 30 s, or 30 s of CPU time"),
        (0.1, "import time; time.sleep(20)", "it did not end within 30 s, or 30 s of CPU time"),
        (30, "bytearray(128 << 20)", "its process ended with exit code 1"),
        (30, "open('much', 'wb').write(bytes(2 << 20))", "its process ended with exit code 1"),
        (30, "import resource as r; assert r.getrlimit(r.RLIMIT_CORE)[0] == 0", None),
    ],
    ids=["cpu", "a clock of its own, for when the parent was killed", "memory", "file size", "core dumps"],
)
def test_the_limits_hold_in_the_child(child, wall, text, says):
    assert child(ENTERED.format(wall=wall) + text) == says


def test_the_child_finds_no_address_no_password_and_no_home(child, tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_PASSWORD", "LOCKGATE_DATABASE_URL", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    assert child("import json, os; open('seen.json', 'w').write(json.dumps(dict(os.environ)))") is None
    found = seen(tmp_path)
    assert "secret" not in found.values()
    assert found["HOME"] == found["TMPDIR"] == str(tmp_path / "folder")


def test_what_lies_in_the_childs_folder_is_not_imported(child, tmp_path):
    """The folder holds a candidate's files."""
    (tmp_path / "folder" / "json.py").write_text("raise SystemExit(9)")
    assert child("import json; assert json.dumps") is None
