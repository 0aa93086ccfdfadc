"""The error classes: one for each kind of refusal, with its exit code."""


class LockgateError(Exception):
    """A refusal: what is wrong (message), where, and what to do next (hint)."""

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.where})" if self.where else self.message


class WrongUsage(LockgateError):
    """Usage: an unknown command or option, an empty reason, or no confirmation."""

    exit_code = 2


class BadData(LockgateError):
    """Input data are invalid; the message names file, line and value."""

    exit_code = 3


class NoRows(BadData):
    """A table has its header, or its columns, and not one row."""


class GateRefused(LockgateError):
    """The gate says no: a verdict, a leaking feature, an alert of the monitor, an external model without metadata."""

    exit_code = 4


class StateConflict(LockgateError):
    """The registry is not in the state that the command needs; nothing was changed."""

    exit_code = 5


class Unavailable(LockgateError):
    """A server does not answer in time, or refuses the login."""

    exit_code = 6


class AccessRefused(Unavailable):
    """A server refuses the login, lacks a right for it, or is not the server it should be: waiting changes nothing."""


class DatabaseInterrupted(Unavailable):
    """The database ended a session or transaction before its commit; nothing was changed, a second try may succeed."""


class WorkerLost(Unavailable):
    """Workers of the Dask cluster ended at the same task again and again, most often because their memory was full."""


class IntegrityBroken(LockgateError):
    """An integrity or security check failed; nothing was loaded."""

    exit_code = 7


class ArtifactMissing(IntegrityBroken):
    """The artifact store no longer has this version's files."""


class BundleUnreadable(IntegrityBroken):
    """The files are the registered ones, but this code cannot open them."""


class BadConfiguration(LockgateError):
    """Settings in params.yaml or the environment are missing, misspelt or out of range."""

    exit_code = 8


class StorageFailed(LockgateError):
    """The local disk is full or read-only, or a permission is missing."""

    exit_code = 9


class StorageFull(StorageFailed):
    """The local disk is full, or a limit on its use is reached."""
