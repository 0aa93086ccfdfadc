"""Start, find and end processes that run on after the command that started them."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

Gone = (psutil.NoSuchProcess, psutil.AccessDenied)
STEP_SECONDS = 0.05
SHOWN_LINES = 12


def launch(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> psutil.Process:
    """Start a process in a new session, so that it survives its terminal; its output is appended to the log."""
    with log.open("ab") as output:
        popen = subprocess.Popen(  # noqa: S603 - our own binaries, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            umask=0o077,
        )
    process = psutil.Process(popen.pid)
    popen.returncode = 0  # the process runs on after this object, which would warn
    return process


def is_alive(process: psutil.Process) -> bool:
    """Whether this process still runs; a zombie, or another process with the same pid, does not count."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except Gone:
        return False


def with_variable(name: str, value: str) -> list[psutil.Process]:
    """The living processes that were started with this environment variable."""
    return [process for process in psutil.process_iter() if _started_with(process, name, value)]


def _started_with(process: psutil.Process, name: str, value: str) -> bool:
    try:
        return bool(process.environ().get(name) == value)
    except (*Gone, OSError):
        return False


def end(processes: Sequence[psutil.Process], number: int, patience: float) -> None:
    """Send a signal to the processes; after `patience` seconds, kill those that still run."""
    for each in (number, signal.SIGKILL):
        for process in filter(is_alive, processes):
            _send(process, each)
        if wait_until(lambda: not any(map(is_alive, processes)), time.monotonic() + patience):
            break
    for process in processes:
        _reap(process)


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)  # psutil compares the start time first, so a recycled pid is safe
    except Gone:
        return


def _reap(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.wait(timeout=0)


def wait_until(condition: Callable[[], bool], deadline: float) -> bool:
    """Poll the condition until it holds; False once the deadline (of time.monotonic) has passed."""
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(STEP_SECONDS)
    return True


def last_lines(log: Path) -> str:
    """The end of a log file, for an error message."""
    return tail(log.read_text(encoding="utf-8", errors="replace") if log.exists() else "")


def tail(text: str) -> str:
    """The last lines of a text."""
    return "\n".join(text.splitlines()[-SHOWN_LINES:])
