"""Which tasks a worker was running when it ended.

Dask blames each task that a lost worker had, also those that only waited there. So the tasks themselves tell the
scheduler when they begin and when they end.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from distributed import Client, get_worker
from distributed.utils import sync

Result = TypeVar("Result")
TOPIC = "lockgate-tasks"  # of the scheduler's events; it keeps the last 1,000 (Dask's low-level-log-length)


def told(function: Callable[..., Result], key: str, *arguments: Any) -> Result:
    """`function(*arguments)` as the task `key`, on a worker. It begins when the scheduler knows of it."""
    worker = get_worker()
    event = {"key": key, "worker": worker.address, "threads": worker.state.nthreads}
    with suppress(OSError):  # a scheduler that is gone needs to know nothing
        sync(worker.loop, worker.scheduler.log_event, topic=TOPIC, msg=event | {"runs": True})
    try:
        return function(*arguments)
    finally:
        worker.log_event(TOPIC, event | {"runs": False})


def last_of(client: Client, worker: str) -> list[str]:
    """The keys of the tasks that a worker was running when it ended, by its address; [] if the scheduler knows none.

    A worker with several threads may have ended one of them a moment before: the scheduler did not hear of that end.
    """
    running: dict[str, int] = {}
    for _, event in client.get_events(TOPIC):
        if event["worker"] != worker:
            continue
        if event["runs"]:
            running[event["key"]] = event["threads"]
        else:
            running.pop(event["key"], None)
    return list(running)[-next(iter(running.values()), 1) :]
