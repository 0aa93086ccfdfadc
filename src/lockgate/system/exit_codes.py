"""Converts errors into messages and exit codes, for the command line and the stage scripts."""

import errno
import inspect
import json
import os
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lockgate.errors import LockgateError, StorageFailed, WrongUsage
from lockgate.system.readable_line import visible

BUG = 1
INTERRUPTED = 130
TERMINATED = 143
STORAGE_ERRNOS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENAMETOOLONG
}  # fmt: skip


@dataclass
class Session:
    """Common options of one command, and the ids for its result file."""

    debug: bool = False
    result_json: Path | None = None
    ids: dict[str, str | int] = field(default_factory=dict)


class _TerminatedError(SystemExit):
    """Raised on SIGTERM to end a command; no `except Exception` catches it."""


@dataclass(frozen=True)
class Ending:
    """The end of a command: `code` is the name of the error class, or `ok`."""

    exit: int
    code: str = "ok"
    message: str = ""
    hint: str = ""


def run(work: Callable[[], None], session: Session) -> int:
    """Do the work, print an error on stderr as `error:` and `hint:`, and return the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    warnings.showwarning = _show_warning
    ending = _ending(work, session)
    if ending.message:
        _say(ending)
    if session.result_json:
        _write_result(session.result_json, ending, session)
    return ending.exit


def script(work: Callable[[], None]) -> NoReturn:
    """Run a stage script and end the process with its exit code."""
    sys.exit(run(work, Session(debug=bool(os.environ.get("LOCKGATE_DEBUG")))))


def stage(work: Callable[..., None]) -> NoReturn:
    """Run a stage of the pipeline as a script: its arguments on the command line are paths."""
    names, given = [name.upper() for name in inspect.signature(work).parameters], sys.argv[1:]

    def run_stage() -> None:
        if given in (["--help"], ["-h"]):
            print(inspect.getdoc(inspect.getmodule(work)))
        elif len(given) != len(names):
            raise WrongUsage(f"the stage takes {len(names)} paths, not {len(given)}", hint=f"give {' '.join(names)}")
        else:
            work(*map(Path, given))

    script(run_stage)


def _ending(work: Callable[[], None], session: Session) -> Ending:
    try:
        work()
        sys.stdout.flush()
    except LockgateError as refusal:
        _trace_if(session.debug)
        return Ending(refusal.exit_code, type(refusal).__name__, str(refusal), refusal.hint)
    except KeyboardInterrupt:
        return Ending(INTERRUPTED, "Interrupted", "interrupted")
    except _TerminatedError:
        return Ending(TERMINATED, "Terminated", "terminated")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Ending(0)
    except OSError as failure:
        _trace_if(session.debug)
        return _of_os_error(failure)
    except Exception:  # noqa: BLE001 - a bug gives one line and a report file, no traceback
        _trace_if(session.debug)
        return Ending(BUG, "Bug", "a bug in Lockgate", f"please report it with {_report()}")
    return Ending(0)


def _of_os_error(failure: OSError) -> Ending:
    if failure.errno == errno.ENOENT:
        missing = WrongUsage(f"{failure.filename} does not exist")
        return Ending(
            missing.exit_code, "WrongUsage", str(missing), "check the path; to make the files of a stage: dvc repro"
        )
    if failure.errno in STORAGE_ERRNOS:
        refusal = StorageFailed(failure.strerror or str(failure))
        where = f" ({failure.filename})" if failure.filename else ""
        return Ending(refusal.exit_code, "StorageFailed", f"{refusal}{where}", "free disk space or check permissions")
    return Ending(BUG, "Bug", f"a bug in Lockgate: {failure}", f"please report it with {_report()}")


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _TerminatedError(TERMINATED)


def _trace_if(debug: bool) -> None:
    if debug:
        sys.stderr.write(visible(traceback.format_exc()))


def _show_warning(  # noqa: PLR0913 - the arguments that Python gives
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """As Python shows a warning of a library, which may quote a text of a file."""
    sys.stderr.write(visible(warnings.formatwarning(message, category, filename, lineno, line)))


def _report() -> str:
    with tempfile.NamedTemporaryFile("w", prefix="lockgate-bug-", suffix=".txt", delete=False) as file:
        file.write(traceback.format_exc())
    return file.name


def _say(ending: Ending) -> None:
    print(visible(f"error: {ending.message}"), file=sys.stderr)
    if ending.hint:
        print(visible(f"hint: {ending.hint}"), file=sys.stderr)


def _write_result(path: Path, ending: Ending, session: Session) -> None:
    result = {**vars(ending), "ids": session.ids}
    path.write_text(json.dumps(result) + "\n", encoding="utf-8")
