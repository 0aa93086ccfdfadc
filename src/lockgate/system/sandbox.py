"""A sandbox: a child process with limits, which may crash, hang or run out of memory without harm.

The child is a fresh interpreter that runs a module of ours: it reads a private folder, writes its answer there, and
has nothing in its environment that would let it into a server. It is no sandbox for foreign code: none is run in it.
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
# Libraries open a pool for each core they see; the forecasts are done with four threads at most.
THREADS = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
LOG = "log.txt"
OUT_OF_TIME = {signal.SIGALRM, signal.SIGXCPU}


@dataclass(frozen=True)
class Limits:
    """What a child may use from the moment that it has imported its libraries; wall time counts from its start."""

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int


def run(module: str, folder: Path, limits: Limits) -> str | None:
    """Run `python -m module` in the folder, to its end or to a limit. None if it ended well, else how it ended.

    No process is left behind, however this one goes on.
    """
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
            [sys.executable, "-P", "-m", module],
            cwd=folder, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        return _told(process.wait(limits.wall_seconds), limits)
    except subprocess.TimeoutExpired:
        return _too_slow(limits)
    finally:
        process.kill()
        process.wait()


def enter(limits: Limits) -> None:
    """In the child, after its imports: no more than this from here on, and no core dump.

    Memory is address space on top of what the libraries have mapped, which says little about what they use.
    """
    with suppress(OSError):  # only Linux has it: if memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    used = psutil.Process()
    spent = sum(used.cpu_times()[:2])
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_CPU, int(spent) + limits.cpu_seconds)
    _limit(resource.RLIMIT_AS, used.memory_info().vms + limits.memory_bytes)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)  # for a child whose parent was killed


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


def _told(code: int, limits: Limits) -> str | None:
    if code == 0:
        return None
    if code > 0:
        return f"its process ended with exit code {code}"
    if -code in OUT_OF_TIME:
        return _too_slow(limits)
    return f"its process was ended by {signal.Signals(-code).name}"


def _too_slow(limits: Limits) -> str:
    return f"it was not done within {limits.wall_seconds:g} s, or {limits.cpu_seconds} s of CPU time"
