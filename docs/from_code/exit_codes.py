"""The exit codes: those of the error classes, of a bug, and of signals."""

import inspect

from from_code.tables import table
from lockgate import errors
from lockgate.errors import LockgateError
from lockgate.system.exit_codes import BUG, INTERRUPTED, TERMINATED

WITHOUT_CLASS = {
    (0,): "Done.",
    (BUG,): "A bug in Lockgate; the hint names the report file to send.",
    (INTERRUPTED, TERMINATED): "Interrupted (Ctrl-C), terminated (SIGTERM).",
}


def rows() -> str:
    """The table of exit codes: the class of an error names itself in `--result-json`."""
    found = WITHOUT_CLASS | {(each.exit_code,): meaning(each) for each in kinds()}
    names: dict[tuple[int, ...], str] = {(each.exit_code,): f"`{each.__name__}`" for each in kinds()}
    return table(
        ("exit code", "class", "means"),
        [(", ".join(map(str, codes)), names.get(codes, ""), found[codes]) for codes in sorted(found)],
    )


def kinds() -> list[type[LockgateError]]:
    """The error classes with an exit code of their own."""
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, LockgateError)]
    return [each for each in classes if each is not LockgateError and "exit_code" in vars(each)]


def meaning(kind: type[LockgateError]) -> str:
    """The docstring of the class, in one line."""
    return " ".join(str(inspect.getdoc(kind)).split())
