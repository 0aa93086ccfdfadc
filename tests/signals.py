"""Processes that heed Ctrl-C and a closed terminal, however the tests were started."""

import signal


def heeded() -> None:
    """For `preexec_fn`: tests in the background, or under nohup, ignore these signals; processes would inherit that."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
