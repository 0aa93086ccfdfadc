"""Timeouts: the limit of one call to a server, and a wall-clock limit for work that waits many times.

The limit of each wait does not limit all waits together.
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
    """Raised to end a wait."""


def of_one_call(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds for one call without --timeout, as in the stages of DVC: LOCKGATE_TIMEOUT, or 10.

    Raises BadConfiguration if the variable is no number in the allowed range.
    """
    named = environment.get(VARIABLE, "").strip()
    try:
        seconds = float(named or USUAL)
    except ValueError:
        seconds = 0.0
    if SHORTEST <= seconds <= LONGEST:
        return seconds
    raise BadConfiguration(
        f"{VARIABLE} is {named!r}", hint=f"set it to a number of seconds from {SHORTEST:g} to {LONGEST:g}, or unset it"
    )


@contextmanager
def within(seconds: float, refusal: LockgateError) -> Iterator[None]:
    """End the block after this number of seconds, also in the middle of a wait, and raise `refusal`.

    A library may catch the interruption and go on, so it is repeated until the block ends. Inside a block with a limit,
    the outer limit counts. Python interrupts only its main thread; in another thread, only the limits of the waits
    count.
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
