"""The database of the MLflow server in this process, for the server's artifact repositories."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    RESOURCE_CONFLICT,
    TEMPORARILY_UNAVAILABLE,
)

from lockgate.errors import IntegrityBroken, LockgateError, StateConflict, Unavailable
from lockgate.system.service_urls import DATABASE_SCHEME

if TYPE_CHECKING:
    from lockgate.database.connection import Database

BACKEND_STORE_VARIABLE = "_MLFLOW_SERVER_FILE_STORE"  # in mlflow.server.constants, which imports the whole server
STATEMENT_SECONDS = 60.0

# MLflow's clients repeat a call after 500 or 503. Damaged bytes stay damaged, so the answer for them is 409.
CODES = {StateConflict: RESOURCE_CONFLICT, IntegrityBroken: RESOURCE_CONFLICT, Unavailable: TEMPORARILY_UNAVAILABLE}


def open_database(destination: str) -> "Database":
    """The backend store of the server in this process; there is no second address.

    Raises an invalid parameter error, which names the artifacts destination, outside a server on Postgres.
    """
    from lockgate.database.connection import Database

    url = os.environ.get(BACKEND_STORE_VARIABLE, "")
    if urlsplit(url).scheme != DATABASE_SCHEME:
        raise invalid(
            f"only an MLflow server on {DATABASE_SCHEME}:// opens {destination}; its clients use mlflow-artifacts:/"
        )
    return Database(url, STATEMENT_SECONDS, keep_connections=True)


def invalid(message: str) -> MlflowException:
    """An invalid parameter error: HTTP 400."""
    return MlflowException(message, INVALID_PARAMETER_VALUE)


@contextmanager
def as_mlflow_errors() -> Iterator[None]:
    """Raise Lockgate's errors as MLflow's, which the server sends as its answer, without the database's address."""
    try:
        yield
    except LockgateError as error:
        message = f"{error.message}; {error.hint}" if error.hint else error.message
        raise MlflowException(message, CODES.get(type(error), INTERNAL_ERROR)) from error
