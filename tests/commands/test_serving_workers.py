"""The workers of `lockgate serve --workers`: the end of one takes no other with it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from lockgate.serving import workers
from lockgate.serving.workers import PROCESSES, SILENT_LOOKS, Crew, Worker


def ending(ready: Any, _: Any) -> None:
    """A process that has closed its files and is not gone yet: a moment of each end, longer on a busy machine."""
    ready.set()
    os.closerange(3, 1000)
    time.sleep(600)


def beating(ready: Any, beats: Any) -> None:
    """A process that beats as a worker does."""
    ready.set()
    workers._beat(beats)


@contextmanager
def running(number: int, life: Callable[[Any, Any], None]) -> Iterator[Worker]:
    """A worker that is ready."""
    ready, beats = PROCESSES.Event(), PROCESSES.Value("Q", 0, lock=False)
    process = PROCESSES.Process(target=life, args=(ready, beats))
    process.start()
    try:
        assert ready.wait(60)
        yield Worker(number, process, ready, beats)
    finally:
        process.kill()
        process.join()


def test_a_worker_that_is_ending_lets_no_other_be_killed_as_one_that_stands_still() -> None:
    """Looks at an ending process follow each other at once: they are no half seconds without a beat."""
    with running(1, ending) as one, running(2, beating) as other:
        crew = Crew(cast(Any, None), cast(Any, None), 2, [one, other], answers=True)
        assert workers.connection.wait([one.process.sentinel], 60)
        for _ in range(100 * SILENT_LOOKS):
            crew._look()
        assert (one.process.is_alive(), other.process.is_alive()) == (True, True)
