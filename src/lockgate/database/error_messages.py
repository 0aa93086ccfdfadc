"""The errors of Postgres as refusals: a message and a hint for each error that a reader can act on, without secrets."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import psycopg2
from sqlalchemy.exc import DBAPIError

from lockgate.errors import (
    AccessRefused,
    BadConfiguration,
    DatabaseInterrupted,
    LockgateError,
    StateConflict,
    Unavailable,
)

PAST_THE_POOLER = "let LOCKGATE_DATABASE_URL name Postgres itself"  # LOCKGATE_LOG_DATABASE_URL may name a pooler


class Meaning(NamedTuple):
    """The refusal for an SQLSTATE code or for a pattern in the text of an error."""

    sign: str
    message: str
    hint: str
    error: type[LockgateError] = Unavailable


# By SQLSTATE, for a refused statement.
BY_CODE = [
    Meaning("25006", "the database is read-only", "point LOCKGATE_DATABASE_URL at the primary server"),
    Meaning("53100", "the database's disk is full", "free space on its server"),
    Meaning("53300", "the database has too many connections", "try again, or raise its max_connections"),
    Meaning(
        "57014",
        "the database did not answer within {timeout:g} s",
        "try again, or give it more: --timeout or LOCKGATE_TIMEOUT",
    ),
    Meaning("57P01", "the database ended the session or was shut down", "start it: lockgate up", DatabaseInterrupted),
    Meaning("57P02", "the database crashed and restarts", "try again", DatabaseInterrupted),
    Meaning("57P03", "the database is starting or shutting down", "try again", DatabaseInterrupted),
    Meaning(
        "42501",
        "the database role {role} lacks a right: {text}",
        "use the role for this task (docs/how-to/deploy.md, Database roles); lockgate roles status lists them",
        AccessRefused,
    ),
    Meaning("40P01", "the database broke a deadlock; nothing was changed", "try again", DatabaseInterrupted),
    Meaning("55P03", "another session uses the table; nothing was changed", "try again", DatabaseInterrupted),
    Meaning("40001", "another transaction was faster; nothing was changed", "try again", DatabaseInterrupted),
    Meaning("3F000", "the database has no schema lockgate", "make it with: lockgate up", StateConflict),
    Meaning("42P01", "a table is missing: {text}", "make it with: lockgate up", StateConflict),
]

RESTARTING = "is starting up|is shutting down|not yet accepting connections|is in recovery mode"
ABSENT = "Connection refused|No such file or directory"
NO_ROOM = "too many clients|too many connections|connection slots are reserved|no more connections allowed"

# By pattern, for a refused connection: libpq gives no code there.
BY_PATTERN = [
    Meaning(
        "password authentication failed",
        "the database refuses the user or the password",
        "check LOCKGATE_DATABASE_URL",
        AccessRefused,
    ),
    Meaning(
        "no password supplied",
        "the database asks for a password",
        "put it into LOCKGATE_DATABASE_URL",
        AccessRefused,
    ),
    Meaning("authentication failed", "the database refuses the user", "check LOCKGATE_DATABASE_URL", AccessRefused),
    Meaning(
        r"no pg_hba\.conf entry",
        "the database does not let this user in from here: {text}",
        "ask its administrator",
        AccessRefused,
    ),
    Meaning(
        "permission denied for database",
        "the user may not connect to this database",
        "grant CONNECT on it",
        AccessRefused,
    ),
    Meaning('role ".*" does not exist', "the database has no such user", "check LOCKGATE_DATABASE_URL", AccessRefused),
    Meaning(
        'database ".*" does not exist', "the server has no such database", "check LOCKGATE_DATABASE_URL", AccessRefused
    ),
    Meaning(
        NO_ROOM,
        "the database has had too many connections for {timeout:g} s",
        "try again, or raise its max_connections",
    ),
    Meaning(
        r"definition of service|service file|invalid \w+ value|invalid connection option|invalid integer value",
        "a variable of libpq (PG...) cannot be used: {text}",
        "unset it, or correct it: env | grep ^PG",
        BadConfiguration,
    ),
    Meaning("timeout expired", "the database did not answer within {timeout:g} s", "check that its server is up"),
    Meaning(RESTARTING, "the database is starting or shutting down", "try again", DatabaseInterrupted),
    Meaning(
        "SSL connection has been closed|SSL SYSCALL error",
        "the database broke the connection off",
        "try again; lockgate up starts it",
        DatabaseInterrupted,
    ),
    Meaning(
        "SSL",
        "the connection's encryption does not fit: {text}",
        "check sslmode in LOCKGATE_DATABASE_URL",
        AccessRefused,
    ),
    Meaning("could not translate host name", "the database's host name is unknown", "check LOCKGATE_DATABASE_URL"),
    Meaning(
        "unsupported (options )?startup parameter",
        "a pooler stands before Postgres and refuses time limits: {text}",
        PAST_THE_POOLER,
        BadConfiguration,
    ),
    Meaning(ABSENT, "no database listens there", "start it: lockgate up"),
    Meaning(
        "Permission denied",
        "the database's socket belongs to another user",
        "run as the user who ran lockgate up",
        AccessRefused,
    ),
    Meaning(
        "closed the connection",
        "the database broke the connection off",
        "try again; lockgate up starts it",
        DatabaseInterrupted,
    ),
    Meaning(
        "connection",
        "the database broke the connection off: {text}",
        "try again; lockgate up starts it",
        DatabaseInterrupted,
    ),
]


REFUSED_BY_LOCKGATE = "23001"  # restrict_violation: the guard and the append-only tables, with their own hint


@contextmanager
def translated(address: str, timeout: float) -> Iterator[None]:
    """Raise a LockgateError in place of an error of SQLAlchemy or psycopg2; `address` must be masked."""
    try:
        yield
    except DBAPIError as error:
        raise _refusal(error.orig, address, timeout) from error
    except psycopg2.Error as error:  # raised by COPY, which does not use SQLAlchemy
        raise _refusal(error, address, timeout) from error


def is_temporary(error: DBAPIError) -> bool:
    """Whether a connection was refused because there are too many, or because the server starts or stops."""
    return _refused_with(error, f"{NO_ROOM}|{RESTARTING}")


def is_absent(error: DBAPIError) -> bool:
    """Whether a connection was refused because no server listens."""
    return _refused_with(error, ABSENT)


def _refused_with(error: DBAPIError, pattern: str) -> bool:
    return getattr(error.orig, "pgcode", None) is None and re.search(pattern, str(error.orig)) is not None


def _refusal(original: BaseException | None, address: str, timeout: float) -> LockgateError:
    code, text = getattr(original, "pgcode", None), str(original).strip()
    first_line = text.splitlines()[0] if text else type(original).__name__
    if code == REFUSED_BY_LOCKGATE:
        return StateConflict(first_line, where=address, hint=_hint(original))
    for meaning in BY_CODE:
        if code == meaning.sign:
            return _formatted(meaning, address, timeout=timeout, text=first_line, role=_role(address))
    for meaning in BY_PATTERN if code is None else []:
        if re.search(meaning.sign, text):
            return _formatted(meaning, address, timeout=timeout, text=first_line)
    return LockgateError(f"the database refuses a statement: {first_line}", where=address)


def _hint(original: BaseException | None) -> str:
    return getattr(getattr(original, "diag", None), "message_hint", None) or ""


def _role(address: str) -> str:
    """The login that the address names, or libpq's variable."""
    return unquote(urlsplit(address).username or "") or os.environ.get("PGUSER", "of this session")


def _formatted(meaning: Meaning, address: str, **values: object) -> LockgateError:
    return meaning.error(meaning.message.format(**values), where=address, hint=meaning.hint)
