"""Timeouts: the limit of one call to a server, and a wall-clock limit for work that waits many times.

Each wait ends in its own time; all of them together need not.
"""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from lockgate.errors import BadConfiguration, LockgateError

VARIABLE = "LOCKGATE_TIMEOUT"
SHORTEST, USUAL, LONGEST = 0.5, 10, 3600  # seconds of one call
AGAIN_SECONDS = 1.0


class _TimeIsUpError(Exception):
    """What breaks a wait off."""


def of_one_call(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds that a server has to answer where no --timeout says it, as in the stages of DVC: LOCKGATE_TIMEOUT, or 10.

    Raises BadConfiguration for what is no such number.
    """
    named = environment.get(VARIABLE, "").strip()
    try:
        seconds = float(named or USUAL)
    except ValueError:
        seconds = 0.0
    if SHORTEST <= seconds <= LONGEST:
        return seconds
    raise BadConfiguration(
        f"{VARIABLE} is {named!r}", hint=f"give it a number of seconds from {SHORTEST:g} to {LONGEST:g}, or unset it"
    )


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
