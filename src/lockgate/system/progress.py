"""Progress of a long command on stderr: a bar with time left on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def watch(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback (name of the next step, steps done, steps in all) that shows progress."""
    if sys.stderr.isatty():
        with _bar(title) as callback:
            yield callback
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda name, done, total: progress.update(
            task, description=f"{title}: {name}", completed=done, total=total, refresh=True
        )


@contextmanager
def rows_read(title: str, size: int) -> Iterator[Callable[[int, int], None]]:
    """Yield a callback (part of `size` read, rows read) that shows rows a second and the time left, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _rows: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    started = time.monotonic()
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("left"), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=size)

        def show(done: int, rows: int) -> None:
            rate = rows / max(time.monotonic() - started, 0.001)
            progress.update(task, description=f"{title}: {rows:,} rows, {rate:,.0f} rows/s", completed=done)

        yield show


def _lines(title: str) -> Callable[[str, int, int], None]:
    started = time.monotonic()

    def show(name: str, done: int, total: int) -> None:
        sys.stderr.write(f"{title}: {done}/{total} {name} ({time.monotonic() - started:.0f} s)\n")

    return show
