"""Processes that heed Ctrl-C, however the tests were started."""

import signal


def heeded() -> None:
    """For `preexec_fn`: tests that run in the background ignore SIGINT, and their processes would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
