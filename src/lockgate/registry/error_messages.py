"""What MLflow says when it fails or refuses, in our words."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode

from lockgate.errors import IntegrityBroken, LockgateError, StateConflict, Unavailable

NOT_LET_IN = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
SAID_NO = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "BAD_REQUEST", "RESOURCE_CONFLICT", "RESOURCE_DOES_NOT_EXIST"}
HTTP_CODES = {
    400: "BAD_REQUEST", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
}  # fmt: skip

# What the guard in the database said, as MLflow hands it on: the driver's class, the sentence, the hint, the rest.
GUARD_SAID = re.compile(r"\(psycopg2\.errors\.RestrictViolation\) (?P<says>.+)\nHINT: +(?P<hint>.+)")

# What an artifact store in the database said of a file that was changed in it (lockgate.database.artifacts).
BYTES_DIFFER = re.compile(r"(?P<says>sha256 differs: [^;]+); (?P<hint>[^\"\n]+)")

# Postgres is read-only, full, going down...: MLflow answers that with 400 or 500, by the kind of its exception.
DATABASE_FAILS = re.compile(
    r"\(psycopg2\.(?:OperationalError|errors\.(?:ReadOnlySqlTransaction|DiskFull|OutOfMemory|AdminShutdown|CrashShutdown"
    r"|CannotConnectNow|TooManyConnections|QueryCanceled|DeadlockDetected))\) (?P<says>.+)"
)
NO_ANSWER = "API request to"  # how MLflow's client begins when no answer came that it could read
ANOTHER_HOST = "certificate is not valid for"  # how Python says it, of a name and of an IP address
LONGEST_SAYING = 300


@contextmanager
def translated() -> Iterator[None]:
    """Every failure of MLflow's client comes out as Unavailable, StateConflict or IntegrityBroken."""
    try:
        yield
    except MlflowException as error:
        code = error.error_code if isinstance(error.error_code, str) else ErrorCode.Name(error.error_code)
        raise _in_our_words(str(error), code) from error
    except requests.HTTPError as error:  # of files, which MLflow's client sends and fetches by itself
        answer = "" if error.response is None else error.response.text
        code = HTTP_CODES.get(error.response.status_code, "") if error.response is not None else ""
        raise _in_our_words(f"{error}: {answer}", code) from error
    except requests.RequestException as error:
        raise _in_our_words(f"{NO_ANSWER} {error}", "") from error


def _in_our_words(said: str, code: str) -> LockgateError:
    if (refused := GUARD_SAID.search(said)) is not None:
        return StateConflict(refused["says"], hint=refused["hint"])
    if (broken := BYTES_DIFFER.search(said)) is not None:
        return IntegrityBroken(f"an artifact is not what was logged: {broken['says']}", hint=broken["hint"])
    if code in NOT_LET_IN:
        return Unavailable(
            "the MLflow server does not let us in: not authorised", hint="check MLFLOW_TRACKING_USERNAME"
        )
    if (failed := DATABASE_FAILS.search(said)) is not None:  # at times in the second line, after what SQLAlchemy says
        says = failed["says"][:LONGEST_SAYING]
        return Unavailable(f"the database behind MLflow fails: {says}", hint="see its server's log")
    first = said.splitlines()[0][:LONGEST_SAYING]
    if code in SAID_NO:
        return StateConflict(f"MLflow refuses: {first}", hint="see: lockgate status")
    if NO_ANSWER in first and "SSLError" in said:
        return _unsafe(said.splitlines()[0][-LONGEST_SAYING:])
    if NO_ANSWER in first:
        return Unavailable("the MLflow server does not answer", where=first, hint="start it with: lockgate up")
    return Unavailable("the MLflow server fails", where=first, hint="see its log: .lockgate/logs/mlflow.log")


def _unsafe(says: str) -> Unavailable:
    if ANOTHER_HOST in says:
        return Unavailable(
            "the certificate of the MLflow server is for another host name",
            where=says,
            hint="check MLFLOW_TRACKING_URI: it must name the server as its certificate does",
        )
    return Unavailable(
        "no safe connection to the MLflow server can be made",
        where=says,
        hint="check its address and certificate; an authority of your own goes into REQUESTS_CA_BUNDLE",
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Hush what MLflow warns of inside itself (its pandas calls, integer columns): nobody here can act on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
