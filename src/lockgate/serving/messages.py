"""Messages of the running server, on stderr in the form of every command."""

import sys
import tempfile
import traceback

from lockgate.system.readable_line import visible

MOST_REPORTS = 20  # of bugs, so that a bug in every request does not fill the disk
_reports: list[str] = []


def tell(line: str) -> None:
    """Print a line."""
    sys.stderr.write(visible(f"{line}\n"))
    sys.stderr.flush()


def report_bug(bug: BaseException) -> None:
    """Print one line, and write the traceback to a file."""
    if len(_reports) >= MOST_REPORTS:
        tell(f"error: a bug in Lockgate: {type(bug).__name__}")
        return
    with tempfile.NamedTemporaryFile("w", prefix="lockgate-bug-", suffix=".txt", delete=False) as file:
        file.write("".join(traceback.format_exception(bug)))
    _reports.append(file.name)
    tell(f"error: a bug in Lockgate: {type(bug).__name__}\nhint: please report it with {file.name}")
