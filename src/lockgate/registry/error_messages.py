"""Translates the errors of MLflow's client, server and network, and of the guard, into Lockgate's errors."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import ErrorCode

from lockgate.errors import (
    AccessRefused,
    BadConfiguration,
    IntegrityBroken,
    LockgateError,
    StateConflict,
    Unavailable,
)
from lockgate.registry.environment import proxy_variable

NOT_LET_IN = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
SAID_NO = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "BAD_REQUEST", "RESOURCE_CONFLICT", "RESOURCE_DOES_NOT_EXIST"}
HTTP_CODES = {
    400: "BAD_REQUEST", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
}  # fmt: skip

# A refusal of the guard in the database, in an answer of MLflow: the driver's class, the sentence, the hint, the rest.
# A server with our pages sends the sentence and the hint alone (registry/readable_refusals.py).
REFUSED_BY_GUARD, HINT_OF_GUARD = "Refused by the gate: ", "What to do: "
GUARD_SAID = re.compile(
    rf"(?:\(psycopg2\.errors\.RestrictViolation\) |{REFUSED_BY_GUARD})(?P<text>.+?)\.?\n"
    rf"(?:HINT: +|{HINT_OF_GUARD})(?P<hint>.+)"
)

# A refusal of the artifact store in the database, of a changed file (lockgate.database.artifacts).
BYTES_DIFFER = re.compile(r"(?P<text>sha256 differs: [^;]+); (?P<hint>[^\"\n]+)")

# Postgres is read-only, full, shutting down...: MLflow answers with 400 or 500, depending on its exception.
DATABASE_FAILS = re.compile(
    r"\(psycopg2\.(?:OperationalError|errors\.(?:ReadOnlySqlTransaction|DiskFull|OutOfMemory|AdminShutdown|CrashShutdown"
    r"|CannotConnectNow|TooManyConnections|QueryCanceled|DeadlockDetected|SerializationFailure))\) (?P<text>.+)"
)
NO_ANSWER = "API request to"  # the message of MLflow's client for a missing or unreadable answer begins so
ANOTHER_HOST = "certificate is not valid for"  # in Python's message, for a name and for an IP address
LONGEST_TEXT = 300


@contextmanager
def translated() -> Iterator[None]:
    """Raise every failure of MLflow's client as Unavailable, StateConflict, IntegrityBroken or BadConfiguration."""
    try:
        yield
    except MlflowException as error:
        code = error.error_code if isinstance(error.error_code, str) else ErrorCode.Name(error.error_code)
        if code == "INVALID_PARAMETER_VALUE" and not isinstance(error, RestException) and code not in str(error):
            raise _refused_by_client(str(error)) from error
        raise refusal(str(error), code) from error
    except requests.HTTPError as error:  # uploads and downloads of MLflow's client raise this class
        answer = "" if error.response is None else error.response.text
        code = HTTP_CODES.get(error.response.status_code, "") if error.response is not None else ""
        raise refusal(f"{error}: {answer}", code) from error
    except requests.RequestException as error:
        raise refusal(f"{NO_ANSWER} {error}", "") from error


def _refused_by_client(text: str) -> BadConfiguration:
    return BadConfiguration(
        f"MLflow's client refuses before it calls the server: {text.splitlines()[0][:LONGEST_TEXT]}",
        hint="correct MLFLOW_TRACKING_URI, or unset the variables in: env | grep MLFLOW_",
    )


def refusal(text: str, code: str) -> LockgateError:
    """The refusal that a text and an error code of MLflow mean."""
    if (refused := GUARD_SAID.search(text)) is not None:
        return StateConflict(refused["text"], hint=refused["hint"])
    if (broken := BYTES_DIFFER.search(text)) is not None:
        return IntegrityBroken(f"an artifact differs from the logged one: {broken['text']}", hint=broken["hint"])
    if code in NOT_LET_IN:
        return AccessRefused(
            "the MLflow server refuses the login: not authorised",
            hint="check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        )
    if (failed := DATABASE_FAILS.search(text)) is not None:  # sometimes in the second line, after SQLAlchemy's message
        message = failed["text"][:LONGEST_TEXT]
        return Unavailable(f"the database behind MLflow fails: {message}", hint="see the log of Postgres")
    first = text.splitlines()[0][:LONGEST_TEXT]
    if code in SAID_NO:
        return StateConflict(f"MLflow refuses: {first}", hint="see: lockgate status")
    if NO_ANSWER in first and "ProxyError" in text:
        name = proxy_variable() or "HTTPS_PROXY"
        return Unavailable(
            f"the proxy of {name} does not let requests through to the MLflow server",
            where=first,
            hint=f"add the server's host to NO_PROXY, or correct {name}",
        )
    if NO_ANSWER in first and "SSLError" in text:
        return _unsafe(text.splitlines()[0][-LONGEST_TEXT:])
    if NO_ANSWER in first:
        return Unavailable("the MLflow server does not answer", where=first, hint="start it with: lockgate up")
    return Unavailable("the MLflow server fails", where=first, hint="see its log: .lockgate/logs/mlflow.log")


def _unsafe(message: str) -> AccessRefused:
    if ANOTHER_HOST in message:
        return AccessRefused(
            "the certificate of the MLflow server is for another host name",
            where=message,
            hint="check MLFLOW_TRACKING_URI: it must have the host name of the certificate",
        )
    return AccessRefused(
        "the TLS connection to the MLflow server fails",
        where=message,
        hint="check its address and certificate; for a certificate authority of your own, set REQUESTS_CA_BUNDLE",
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Silence MLflow's warnings of its own code (pandas calls, integer columns)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
