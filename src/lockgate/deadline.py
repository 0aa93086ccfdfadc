"""A wall-clock limit on work that waits many times: each wait ends in its own time, all of them together need not."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lockgate.errors import LockgateError

AGAIN_SECONDS = 1.0


class _TimeIsUpError(Exception):
    """What breaks a wait off."""


@contextmanager
def within(seconds: float, refusal: LockgateError) -> Iterator[None]:
    """Break the block off after so many seconds, in the middle of a wait if need be, with this refusal.

    A library may take the interruption for a failure of its own and go on, so it is repeated until the block is left.
    Within a block that has a limit, that one holds. Python interrupts its main thread only; in another one, the block
    has no more than the limits of its waits.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getitimer(signal.ITIMER_REAL)[0] > 0:
        yield
        return
    counts, has_rung = True, False

    def ring(_signal: int, _frame: FrameType | None) -> None:
        nonlocal has_rung
        if counts:
            has_rung = True
            raise _TimeIsUpError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    try:
        try:
            yield
        finally:
            counts = False
    except Exception as error:
        if has_rung:
            raise refusal from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
