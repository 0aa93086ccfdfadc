"""Finds the URLs of MLflow and Postgres: in the environment, or in the `.lockgate` of the project.

Imports nothing heavy, so that `lockgate --help` stays fast.
"""

import json
import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from lockgate.errors import BadConfiguration, Unavailable

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
DATABASE_VARIABLE = "LOCKGATE_DATABASE_URL"
LOG_VARIABLE = "LOCKGATE_LOG_DATABASE_URL"
READ_VARIABLE = "LOCKGATE_READ_DATABASE_URL"
STATE_FILE = Path(".lockgate", "stack.json")
DATABASE_SCHEME = "postgresql+psycopg2"
ARTIFACTS_IN_DATABASE = (
    "lockgate-artifacts:/"  # the artifacts destination of an MLflow server that stores them in its own database
)
FOLDER_SCHEME = "lockgate-folder"  # of the artifacts destination of an MLflow server that stores them in a folder
PASSWORD = re.compile(r"((?:^|[?&])\w*password=)[^&]*")
HINT_WITHOUT_ADDRESSES = f"start one with: lockgate up, or set {TRACKING_VARIABLE} and {DATABASE_VARIABLE}"


@dataclass(frozen=True, repr=False)
class Addresses:
    """The addresses of the two services; repr shows no password.

    `log_url`: a pooler through which the prediction log goes to the database. `read_url`: a replica of the database,
    for commands that only read. Both are "" where the database itself is used.
    """

    tracking_uri: str
    database_url: str
    log_url: str = ""
    read_url: str = ""

    def __repr__(self) -> str:
        return f"MLflow at {masked(self.tracking_uri)}, Postgres at {masked(self.database_url)}"


def find(folder: Path, environment: Mapping[str, str] = os.environ, *, even_stopped: bool = False) -> Addresses:
    """The addresses in the environment, else those of the stack with its `.lockgate` in this folder or above it.

    Raises BadConfiguration if there are none or if they are invalid, Unavailable if the stack is stopped, unless
    `even_stopped`.
    """
    log_url, read_url = (environment.get(name, "").strip() for name in (LOG_VARIABLE, READ_VARIABLE))
    for name, url in ((LOG_VARIABLE, log_url), (READ_VARIABLE, read_url)):
        if url:
            _check_database_url(name, _split(name, url), "the environment")
    return replace(_of_services(folder, environment, even_stopped), log_url=log_url, read_url=read_url)


def _of_services(folder: Path, environment: Mapping[str, str], even_stopped: bool) -> Addresses:
    tracking_uri = environment.get(TRACKING_VARIABLE, "").strip()
    database_url = environment.get(DATABASE_VARIABLE, "").strip()
    if tracking_uri or database_url:
        return _checked(Addresses(tracking_uri, database_url), "the environment")
    place = stack_folder(folder)
    if not _has_stack(place):
        raise BadConfiguration("no addresses of MLflow and Postgres", where=str(place), hint=HINT_WITHOUT_ADDRESSES)
    forget_libpq_variables()
    return read_state(place / STATE_FILE, even_stopped=even_stopped)


def stack_folder(folder: Path) -> Path:
    """The nearest folder, from this one upward, with a stack in its `.lockgate`; without one, this folder."""
    folder = folder.absolute()
    return next((place for place in (folder, *folder.parents) if _has_stack(place)), folder)


def _has_stack(folder: Path) -> bool:
    try:
        return (folder / STATE_FILE).exists()
    except PermissionError:
        raise BadConfiguration(
            f"the stack belongs to {(folder / STATE_FILE.parent).owner()}",
            where=str(folder),
            hint="run as this user, or set MLFLOW_TRACKING_URI and LOCKGATE_DATABASE_URL",
        ) from None


def forget_libpq_variables(environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove libpq's variables (PGSERVICE, PGOPTIONS, ...) from this process: they are for other servers.

    For the embedded Postgres only, whose URL is complete; for a deployed Postgres they may complete the URL.
    """
    for name in [name for name in environment if name.startswith("PG")]:
        del environment[name]


def read_state(path: Path, *, even_stopped: bool = False) -> Addresses:
    """The addresses that `lockgate up` wrote. Raises Unavailable after `lockgate down`, unless `even_stopped`."""
    try:
        if path.stat().st_uid not in (os.geteuid(), 0):
            raise BadConfiguration("the stack belongs to another user", where=str(path), hint=HINT_WITHOUT_ADDRESSES)
        state = json.loads(path.read_text(encoding="utf-8"))
        addresses, running = Addresses(str(state["tracking_uri"]), str(state["database_url"])), state["running"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfiguration("the stack's state cannot be read", where=str(path), hint="run: lockgate up") from error
    if not running and not even_stopped:
        raise Unavailable("the stack is stopped", where=str(path.parent), hint="start it with: lockgate up")
    return _checked(addresses, str(path))


def env(addresses: Addresses) -> dict[str, str]:
    """The variables with which `mlflow` and `psql` use the same services.

    A part that the database URL leaves out, such as a password, still comes from libpq's own variables.
    """
    url = urlsplit(addresses.database_url)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    host = query.get("host", url.hostname)
    port = query.get("port", url.port or (5432 if host else None))
    named = {
        "PGHOST": host,
        "PGPORT": port and str(port),
        "PGUSER": url.username and unquote(url.username),
        "PGDATABASE": unquote(url.path.lstrip("/")),
    }
    services = {TRACKING_VARIABLE: addresses.tracking_uri, DATABASE_VARIABLE: addresses.database_url}
    services |= {LOG_VARIABLE: addresses.log_url, READ_VARIABLE: addresses.read_url}
    return {name: value for name, value in (services | named).items() if value}


def masked(address: str) -> str:
    """The address with `***` instead of its password, also in the query.

    A password may hold signs that end a login in an address (/ ? # @): all up to the last @ counts as the login.
    """
    scheme, mark, rest = address.partition("://") if "://" in address else ("", "", address)
    login, at, place = rest.rpartition("@")
    user, colon, _ = login.partition(":")
    return scheme + mark + PASSWORD.sub(r"\1***", f"{user}:***@{place}" if at and colon else rest)


def _checked(addresses: Addresses, where: str) -> Addresses:
    for name, address in ((TRACKING_VARIABLE, addresses.tracking_uri), (DATABASE_VARIABLE, addresses.database_url)):
        if not address:
            raise BadConfiguration(
                f"{name} is not set, but the other address is", where=where, hint="set both or neither"
            )
    _check_tracking_uri(_split(TRACKING_VARIABLE, addresses.tracking_uri), where)
    _check_database_url(DATABASE_VARIABLE, _split(DATABASE_VARIABLE, addresses.database_url), where)
    return addresses


def _split(name: str, address: str) -> SplitResult:
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:  # its text may hold a part of the password
        raise BadConfiguration(
            f"{name} is not an address: {masked(address)}",
            hint="write it as scheme://user:password@host:port, with %2F for a / of the password, and so on",
        ) from None
    return url


def _check_tracking_uri(url: SplitResult, where: str) -> None:
    if url.scheme not in ("http", "https") or not url.hostname:
        raise BadConfiguration(
            f"{TRACKING_VARIABLE} is not the address of an MLflow server: {masked(urlunsplit(url))}",
            where=where,
            hint="give a server, such as http://127.0.0.1:5000; files and SQLite have no gate",
        )


def _check_database_url(name: str, url: SplitResult, where: str) -> None:
    if url.scheme != DATABASE_SCHEME:
        known = url.scheme in ("postgres", "postgresql") or url.scheme.startswith("postgresql+")
        hint = (
            f"use {DATABASE_SCHEME}://"
            if known
            else f"give a Postgres, such as {DATABASE_SCHEME}://user@host:5432/database"
        )
        raise BadConfiguration(f"{name} has the scheme {url.scheme or 'none'}", where=where, hint=hint)
    if not url.path.lstrip("/"):
        raise BadConfiguration(f"{name} has no database name", where=where, hint="end it with /DATABASE")
