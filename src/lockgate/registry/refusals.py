"""What MLflow says when it fails or refuses, in our words."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode

from lockgate.errors import IntegrityBroken, StateConflict, Unavailable


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        raise _as_ours(error) from error


NOT_LET_IN = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
SAID_NO = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "BAD_REQUEST", "RESOURCE_CONFLICT", "RESOURCE_DOES_NOT_EXIST"}


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
LONGEST_SAYING = 300


def _as_ours(error: MlflowException) -> Exception:
    refused = GUARD_SAID.search(str(error))
    if refused:
        return StateConflict(refused["says"], hint=refused["hint"])
    if (broken := BYTES_DIFFER.search(str(error))) is not None:
        return IntegrityBroken(f"an artifact is not what was logged: {broken['says']}", hint=broken["hint"])
    code = error.error_code if isinstance(error.error_code, str) else ErrorCode.Name(error.error_code)
    if code in NOT_LET_IN:
        return Unavailable(
            "the MLflow server does not let us in: not authorised", hint="check MLFLOW_TRACKING_USERNAME"
        )
    says = str(error).splitlines()[0][:LONGEST_SAYING]
    if (failed := DATABASE_FAILS.search(says)) is not None:
        return Unavailable(f"the database behind MLflow fails: {failed['says']}", hint="see its server's log")
    if code in SAID_NO:
        return StateConflict(f"MLflow refuses: {says}", hint="see: lockgate status")
    if NO_ANSWER in says:
        return Unavailable("the MLflow server does not answer", where=says, hint="start it with: lockgate up")
    return Unavailable("the MLflow server fails", where=says, hint="see its log: .lockgate/logs/mlflow.log")


@contextmanager
def quiet() -> Iterator[None]:
    """Hush what MLflow warns of inside itself (its pandas calls, integer columns): nobody here can act on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
