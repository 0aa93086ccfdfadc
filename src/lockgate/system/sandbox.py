"""A sandbox: a child process with limits, so that a crash, a hang or a lack of memory ends only the child.

The child is a fresh interpreter that runs a module of Lockgate. It reads a private folder and writes its answer there.
Its environment has no addresses or passwords. It is no sandbox for foreign code: it runs none.
"""

import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PACKAGE_FOLDER = Path(__file__).parents[2]
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
# Libraries start a thread for each core; forecasts use four threads at most.
THREADS = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
LOG = "log.txt"
OUT_OF_TIME = {signal.SIGALRM, signal.SIGXCPU}


@dataclass(frozen=True)
class Limits:
    """Limits of a child after its imports; wall time counts from its start."""

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int


def run(module: str, folder: Path, limits: Limits) -> str | None:
    """Run `python -m module` in the folder, to its end or to a limit. Returns None after success, else how it ended.

    The child never runs on after this call.
    """
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
            [sys.executable, "-P", "-m", module],
            cwd=folder, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        return _ending(process.wait(limits.wall_seconds), limits)
    except subprocess.TimeoutExpired:
        return _too_slow(limits)
    finally:
        process.kill()
        process.wait()


def enter(limits: Limits) -> None:
    """Set the limits, in the child and after its imports; core dumps are off.

    The memory limit is address space in addition to the libraries' mapped space, most of which they do not use.
    """
    with suppress(OSError):  # Linux only: if memory runs out, the kernel ends this process first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    used = psutil.Process()
    spent = sum(used.cpu_times()[:2])
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_CPU, int(spent) + limits.cpu_seconds)
    _limit(resource.RLIMIT_AS, used.memory_info().vms + limits.memory_bytes)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)  # for a child after its parent was killed


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(ValueError, OSError):  # macOS does not limit address space
        resource.setrlimit(what, (soft, hard))


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    own = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(PACKAGE_FOLDER),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return kept | THREADS | own


def _ending(code: int, limits: Limits) -> str | None:
    if code == 0:
        return None
    if code > 0:
        return f"its process ended with exit code {code}"
    if -code in OUT_OF_TIME:
        return _too_slow(limits)
    return f"its process was ended by {signal.Signals(-code).name}"


def _too_slow(limits: Limits) -> str:
    return f"it did not end within {limits.wall_seconds:g} s, or {limits.cpu_seconds} s of CPU time"
