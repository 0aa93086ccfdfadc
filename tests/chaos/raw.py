"""Ways past Lockgate, as the UI, curl and psql have them: MLflow's REST API, and SQL by the owner of its tables."""

from typing import Any

import psycopg2
import requests

from chaos.journal import Outcome
from chaos.scene import Place
from lockgate.stack import embedded_postgres

SECONDS = 5


class Told(Exception):
    """How a server answered, other than by doing it."""

    def __init__(self, outcome: Outcome, says: str) -> None:
        super().__init__(says)
        self.outcome = outcome


def rest(place: Place, method: str, path: str, **values: Any) -> dict[str, Any]:
    """One call of MLflow's REST API. Raises Told for any answer but a good one."""
    address = f"{place.where.tracking_uri}/api/2.0/mlflow/{path}"
    try:
        given = {"params" if method == "GET" else "json": values}
        reply = requests.request(method, address, timeout=SECONDS, headers={"Connection": "close"}, **given)
    except requests.RequestException as error:
        raise Told(Outcome.UNKNOWN, str(error)[:300]) from error
    if reply.status_code >= 500:
        raise Told(Outcome.UNKNOWN, reply.text[:300])
    if reply.status_code >= 400:
        raise Told(Outcome.REFUSED, reply.text[:300])
    found: dict[str, Any] = reply.json()
    return found


def transition(place: Place, model: str, version: int, stage: str, archive: bool) -> None:
    """What the stage drop-down of the UI sends."""
    values = {"name": model, "version": str(version), "stage": stage, "archive_existing_versions": archive}
    rest(place, "POST", "model-versions/transition-stage", **values)


def sql(place: Place, statements: list[str], values: dict[str, Any], isolation: str = "READ COMMITTED") -> None:
    """One transaction by the MLflow server's own role. Raises Told if it was not committed."""
    connection = None
    try:
        connection = place.sql(embedded_postgres.MLFLOW_ROLE)
        connection.autocommit = False
        connection.set_session(isolation_level=isolation)
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, values)
        connection.commit()
    except psycopg2.OperationalError as error:  # the line broke, or a time limit spoke
        raise Told(Outcome.UNKNOWN, str(error).strip()[:300]) from error
    except psycopg2.Error as error:
        raise Told(Outcome.REFUSED, str(error).strip()[:300]) from error
    finally:
        if connection is not None:
            connection.close()
