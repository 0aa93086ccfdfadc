"""What Postgres says when it fails, in our words: a text for each thing that somebody can act on, no secret in any."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg2
from sqlalchemy.exc import DBAPIError

from lockgate.errors import BadConfiguration, LockgateError, StateConflict, Unavailable

PAST_THE_POOLER = "let LOCKGATE_DATABASE_URL name Postgres itself"


class Meaning(NamedTuple):
    """What an error code or text of Postgres means to whoever runs the command."""

    says: str
    message: str
    hint: str
    error: type[LockgateError] = Unavailable


# By SQLSTATE, for a statement that was refused.
BY_CODE = [
    Meaning("25006", "the database is read-only", "point LOCKGATE_DATABASE_URL at the primary server"),
    Meaning("53100", "the database's disk is full", "free space on its server"),
    Meaning("53300", "the database has too many connections", "try again, or raise its max_connections"),
    Meaning(
        "57014",
        "the database did not answer within {timeout:g} s",
        "try again, or give it more: --timeout or LOCKGATE_TIMEOUT",
    ),
    Meaning("57P01", "the database was shut down", "start it: lockgate up"),
    Meaning("57P02", "the database crashed and restarts", "try again"),
    Meaning("57P03", "the database is starting or shutting down", "try again"),
    Meaning("42501", "the database user lacks a privilege: {said}", "grant it, or use the owner of schema lockgate"),
    Meaning("40P01", "the database broke a deadlock; nothing was changed", "try again"),
    Meaning("40001", "another transaction was faster; nothing was changed", "try again"),
    Meaning("3F000", "the database has no schema lockgate", "make it with: lockgate up", StateConflict),
    Meaning("42P01", "a table is missing: {said}", "make it with: lockgate up", StateConflict),
]

NO_ROOM = "too many clients|too many connections|connection slots are reserved|no more connections allowed"

# By pattern, for a connection that was refused: libpq gives no code there.
BY_PATTERN = [
    Meaning(
        "password authentication failed", "the database refuses the user or the password", "check LOCKGATE_DATABASE_URL"
    ),
    Meaning("no password supplied", "the database asks for a password", "put it into LOCKGATE_DATABASE_URL"),
    Meaning("authentication failed", "the database refuses the user", "check LOCKGATE_DATABASE_URL"),
    Meaning(
        r"no pg_hba\.conf entry", "the database does not let this user in from here: {said}", "ask its administrator"
    ),
    Meaning("permission denied for database", "the user may not connect to this database", "grant CONNECT on it"),
    Meaning('role ".*" does not exist', "the database has no such user", "check LOCKGATE_DATABASE_URL"),
    Meaning('database ".*" does not exist', "the server has no such database", "check LOCKGATE_DATABASE_URL"),
    Meaning(
        NO_ROOM,
        "the database has had too many connections for {timeout:g} s",
        "try again, or raise its max_connections",
    ),
    Meaning(
        r"definition of service|service file|invalid \w+ value|invalid connection option|invalid integer value",
        "a variable of libpq (PG...) cannot be used: {said}",
        "unset it, or correct it: env | grep ^PG",
        BadConfiguration,
    ),
    Meaning("timeout expired", "the database did not answer within {timeout:g} s", "check that its server is up"),
    Meaning("is starting up", "the database is starting", "try again"),
    Meaning("is shutting down", "the database is shutting down", "start it: lockgate up"),
    Meaning("SSL", "the connection's encryption does not fit: {said}", "check sslmode in LOCKGATE_DATABASE_URL"),
    Meaning("could not translate host name", "the database's host name is unknown", "check LOCKGATE_DATABASE_URL"),
    Meaning(
        "unsupported (options )?startup parameter",
        "a pooler stands before Postgres and refuses time limits: {said}",
        PAST_THE_POOLER,
        BadConfiguration,
    ),
    Meaning("Connection refused", "no database listens there", "start it: lockgate up"),
    Meaning("No such file or directory", "no database listens there", "start it: lockgate up"),
    Meaning(
        "Permission denied", "the database's socket belongs to another user", "run as the user who ran lockgate up"
    ),
    Meaning("closed the connection", "the database broke the connection off", "try again; lockgate up starts it"),
    Meaning("connection", "the database broke the connection off: {said}", "try again; lockgate up starts it"),
]


REFUSED_BY_US = "23001"  # restrict_violation: the guard and the append-only tables, in their own words and with a hint


@contextmanager
def translated(address: str, timeout: float) -> Iterator[None]:
    """Turns SQLAlchemy's errors into ours; `address` is shown as it is, so it must be masked."""
    try:
        yield
    except DBAPIError as error:
        raise _in_our_words(error.orig, address, timeout) from error
    except psycopg2.Error as error:  # of COPY, which goes past SQLAlchemy
        raise _in_our_words(error, address, timeout) from error


def is_crowded(error: DBAPIError) -> bool:
    """Whether a connection was refused only because there are too many: that passes."""
    return getattr(error.orig, "pgcode", None) is None and re.search(NO_ROOM, str(error.orig)) is not None


def _in_our_words(original: BaseException | None, address: str, timeout: float) -> LockgateError:
    code, said = getattr(original, "pgcode", None), str(original).strip()
    said_first = said.splitlines()[0] if said else type(original).__name__
    if code == REFUSED_BY_US:
        return StateConflict(said_first, where=address, hint=_hint(original))
    for meaning in BY_CODE:
        if code == meaning.says:
            return _worded(meaning, address, timeout, said_first)
    for meaning in BY_PATTERN if code is None else []:
        if re.search(meaning.says, said):
            return _worded(meaning, address, timeout, said_first)
    return LockgateError(f"the database refuses a statement: {said_first}", where=address)


def _hint(original: BaseException | None) -> str:
    return getattr(getattr(original, "diag", None), "message_hint", None) or ""


def _worded(meaning: Meaning, address: str, timeout: float, said: str) -> LockgateError:
    return meaning.error(meaning.message.format(timeout=timeout, said=said), where=address, hint=meaning.hint)
