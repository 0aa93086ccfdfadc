"""How commands end: one line and a hint on stderr, the exit code of the contract, and a result file for machines."""

import errno
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from lockgate import errors
from lockgate.system import exit_codes
from lockgate.system.exit_codes import Session

CODES = {
    "WrongUsage": 2,
    "BadData": 3,
    "GateRefused": 4,
    "StateConflict": 5,
    "Unavailable": 6,
    "IntegrityBroken": 7,
    "BadConfiguration": 8,
    "StorageFailed": 9,
}


def raising(error):
    def work():
        raise error

    return work


def test_every_refusal_has_the_exit_code_of_the_contract():
    kinds = [kind for kind in errors.LockgateError.__subclasses__() if kind.__module__ == errors.__name__]
    refusals = {kind.__name__: kind.exit_code for kind in kinds}
    assert refusals == CODES


def test_a_refusal_says_what_where_and_what_to_do_without_a_traceback(capsys):
    refusal = errors.BadData("Sales is -5", where="train.csv line 7", hint="correct it")
    assert exit_codes.run(raising(refusal), Session()) == 3
    assert capsys.readouterr() == ("", "error: Sales is -5 (train.csv line 7)\nhint: correct it\n")


def test_debug_shows_the_traceback(capsys):
    exit_codes.run(raising(errors.BadData("no")), Session(debug=True))
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), 9),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 9),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), 2),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
        (ZeroDivisionError("oh"), 1),
    ],
)
def test_what_is_no_refusal_of_ours_ends_with_its_code(error, code, capfd):
    keep = os.dup(1)
    try:
        assert exit_codes.run(raising(error), Session()) == code
    finally:
        os.dup2(keep, 1)
        os.close(keep)
    assert "Traceback" not in capfd.readouterr().err


def test_a_bug_names_a_report_that_holds_the_traceback(capsys):
    exit_codes.run(raising(ZeroDivisionError("oh")), Session())
    report = capsys.readouterr().err.rsplit(" ", 1)[1].strip()
    with Path(report).open() as file:
        assert "ZeroDivisionError: oh" in file.read()


def test_the_result_file_holds_the_ending_and_the_ids(tmp_path):
    session = Session(result_json=tmp_path / "result.json", ids={"version": 3})
    exit_codes.run(raising(errors.StateConflict("no", hint="look")), session)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result == {"exit": 5, "code": "StateConflict", "message": "no", "hint": "look", "ids": {"version": 3}}


def test_a_command_that_is_ended_from_outside_says_so_in_its_result_too(tmp_path, capsys):
    def ended() -> None:
        with suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)

    before = signal.getsignal(signal.SIGTERM)
    session = Session(result_json=tmp_path / "result.json")
    try:
        assert exit_codes.run(ended, session) == exit_codes.TERMINATED
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "error: terminated\n"
    assert json.loads((tmp_path / "result.json").read_text())["code"] == "Terminated"
