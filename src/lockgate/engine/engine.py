"""The interface of an engine, and the engine without a cluster.

An engine runs independent tasks. A task is a pure function of its arguments, so it may run anywhere and again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]  # the name of the step, tasks done, tasks in all


def silent(_name: str, _done: int, _total: int) -> None:
    """Progress that is not shown."""


@dataclass(frozen=True)
class Failed:
    """A task that ended with an error."""

    error: Exception


class Tasks(Protocol):
    """Tasks that are given one by one, where the next one depends on how an earlier one ended."""

    slots: int
    """How many tasks may run at the same time, one in each process."""

    def submit(self, slot: int, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin a task of a free slot. The tasks of a slot run in the same process, unless that ends."""
        ...

    def next(self) -> tuple[int, Any]:
        """Wait until a task has ended: its slot, and its result or `Failed`. Raises Unavailable for a lost cluster."""
        ...

    def close(self) -> None:
        """Give up the tasks that have not ended."""
        ...


class Engine(Protocol):
    """Runs tasks; the results and the order of the results do not depend on the engine."""

    @property
    def workers(self) -> int:
        """How many tasks run at the same time."""
        ...

    def map(
        self,
        function: Callable[..., Result],
        items: Sequence[Item],
        name: str,
        *,
        shared: Sequence[Any] = (),
        progress: Progress = silent,
    ) -> list[Result]:
        """`function(item, *shared)` for each item, in the order of the items; `name` is the step in messages.

        `function` is a function of a module, and its arguments can be pickled. `shared` are equal for all tasks; an
        entry may be what `scatter` returned. After each finished task, `progress` is called. A LockgateError of a task
        is raised unchanged, and the other tasks are given up.
        """
        ...

    def tasks(self, name: str) -> Tasks:
        """Tasks that are given one by one; `name` is the step in messages."""
        ...

    def require_visible(self, folder: Path) -> None:
        """Raise BadConfiguration unless each worker sees this folder under this path."""
        ...

    def scatter(self, value: Any) -> Any:
        """Send a large value to the workers once; the returned object takes its place in `shared`."""
        ...

    def everywhere(self, function: Callable[[], object]) -> None:
        """Call a short function once in each process that runs tasks. One that does not answer is left out."""
        ...


class TasksInProcess:
    """One slot in this process: `next` runs the task."""

    slots = 1

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, slot: int, function: Callable[..., Any], *arguments: Any) -> None:
        """As `Tasks.submit`."""
        self._waiting.append((slot, function, arguments))

    def next(self) -> tuple[int, Any]:
        """As `Tasks.next`."""
        slot, function, arguments = self._waiting.popleft()
        try:
            return slot, function(*arguments)
        except Exception as error:  # noqa: BLE001 - the error of a task is a result, as on a worker
            return slot, Failed(error)

    def close(self) -> None:
        """As `Tasks.close`."""
        self._waiting.clear()


class InProcess:
    """Runs one task after the other in this process."""

    workers = 1

    def map(
        self,
        function: Callable[..., Result],
        items: Sequence[Item],
        name: str,
        *,
        shared: Sequence[Any] = (),
        progress: Progress = silent,
    ) -> list[Result]:
        """As `Engine.map`."""
        results = []
        for done, item in enumerate(items, start=1):
            results.append(function(item, *shared))
            progress(name, done, len(items))
        return results

    def tasks(self, name: str) -> Tasks:
        """One slot in this process."""
        return TasksInProcess()

    def require_visible(self, folder: Path) -> None:
        """Nothing to do: this process sees its own folders."""

    def scatter(self, value: Any) -> Any:
        """The value itself."""
        return value

    def everywhere(self, function: Callable[[], object]) -> None:
        """Call it here."""
        function()
