"""What can go wrong: one class per thing that somebody can act on, each with its exit code."""


class LockgateError(Exception):
    """A refusal that its reader can act on: what is wrong, where, and what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.where})" if self.where else self.message


class WrongUsage(LockgateError):
    """The command's words do not fit."""

    exit_code = 2


class BadData(LockgateError):
    """A table that nothing honest can be made of."""

    exit_code = 3


class GateRefused(LockgateError):
    """The gate says no: refused or inconclusive."""

    exit_code = 4


class StateConflict(LockgateError):
    """The registry is not in the state that the command asks for; nothing was changed."""

    exit_code = 5


class Unavailable(LockgateError):
    """A server does not answer in time, or does not let us in."""

    exit_code = 6


class DatabaseInterrupted(Unavailable):
    """The database ended a session or a transaction before its commit: nothing was changed, a repetition may pass."""


class IntegrityBroken(LockgateError):
    """The bytes are not those that were registered; nothing of them was loaded."""

    exit_code = 7


class ArtifactMissing(IntegrityBroken):
    """The store has nothing of a version any more."""


class BundleUnreadable(IntegrityBroken):
    """The bytes are those that were registered, and still this code cannot open them."""


class BadConfiguration(LockgateError):
    """Params or environment are missing, misspelt or out of range."""

    exit_code = 8


class StorageFailed(LockgateError):
    """The local disk is full, read-only or closed to us."""

    exit_code = 9
