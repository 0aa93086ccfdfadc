"""Tasks that the tests of the engine send to workers, which import them from here."""

import os
import time
from pathlib import Path

from lockgate.errors import BadData


def scaled(item: int, factor: int) -> int:
    return item * factor


def refused(item: int) -> int:
    raise BadData(f"row {item} is bad", where="sales.csv, line 7", hint="correct it")


def with_bug(item: int) -> int:
    return 1 // (item - item)


def process_of(item: int) -> int:
    return os.getpid()


def killed_once(item: int, marks: str) -> int:
    """Ends its own worker the first time; then returns the item."""
    mark = Path(marks, str(item))
    if item == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    return item


def always_killed(item: int) -> int:
    if item == 1:
        os.kill(os.getpid(), 9)
    return item


def memory_taken(item: int, fill: int) -> int:
    """Takes this many bytes and keeps them until the worker's limit ends it; item 0 takes none."""
    kept = []
    while item and sum(map(len, kept)) < fill:
        kept.append(os.urandom(1 << 20) * 16)
        time.sleep(0.02)
    return item


def started_and_waiting(item: int, marks: str) -> int:
    """Notes that it has started, and waits for long."""
    Path(marks, f"{item}-{os.getpid()}").touch()
    time.sleep(600)
    return item


def not_seen(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def hungry(item: int, which: int, fill: int) -> int:
    """One item takes this many bytes, until the worker's limit ends it; the others take a moment."""
    time.sleep(0.3)
    return memory_taken(int(item == which), fill)
