"""Checks once a command that the tracking address is that of the MLflow server with its registry in this Postgres."""

from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.utils.rest_utils import http_request

from lockgate.errors import AccessRefused, BadConfiguration, Unavailable
from lockgate.registry.error_messages import refusal

OLDEST_EXPERIMENT = "0"  # MLflow creates it with its tables
LEFT_TO_THE_NEXT_CALL = {403, *range(500, 600)}  # the next call reports the refusal or failure better
REDIRECTS = {301, 302, 303, 307, 308}  # MLflow's API has none: a login page, or http instead of https
NO_HTTP = ("BadStatusLine", "RemoteDisconnected", "Connection reset by peer")
_recognised: set[tuple[str, int | None]] = set()


def check(credentials: Any, address: str, created: int | None) -> None:
    """Compare the creation time of MLflow's first experiment in the server's answer with that in Postgres.

    Raises Unavailable if the answer is not MLflow's, BadConfiguration for another MLflow server or another major
    version. A server is checked once in a process.
    """
    if (address, created) in _recognised:
        return
    reply = _get(credentials, address, "/api/2.0/mlflow/experiments/get", {"experiment_id": OLDEST_EXPERIMENT})
    _refuse_login(reply, address)
    if reply.status_code in LEFT_TO_THE_NEXT_CALL:
        return
    _check_registry(_json(reply), address, created)
    _check_version(_get(credentials, address, "/version", {}), address)
    _recognised.add((address, created))


def _refuse_login(reply: Any, address: str) -> None:
    """Raise AccessRefused if MLflow, or a proxy before it, does not let this user in.

    MLflow's client loses the status of an answer in JSON, as proxies give it. A 403 of MLflow itself is no JSON, and
    may be about this experiment alone.
    """
    if reply.status_code == 401 or (reply.status_code == 403 and _json(reply)):
        raise refusal(reply.reason, "UNAUTHENTICATED")
    if reply.status_code in REDIRECTS:
        raise AccessRefused(
            "the server redirects instead of answering; it may want a login",
            where=address,
            hint="correct MLFLOW_TRACKING_URI (https or http), or check the login",
        )


def _check_registry(answer: dict[str, Any], address: str, created: int | None) -> None:
    experiment = answer.get("experiment")
    if not isinstance(experiment, dict) and "error_code" not in answer:
        raise _not_mlflow(address)
    at_server = int(experiment.get("creation_time", 0)) if isinstance(experiment, dict) else None
    if at_server != created:
        raise BadConfiguration(
            "the MLflow server keeps its registry in another database than LOCKGATE_DATABASE_URL",
            where=address,
            hint="set MLFLOW_TRACKING_URI and LOCKGATE_DATABASE_URL to the same stack; see: lockgate env",
        )


def _check_version(reply: Any, address: str) -> None:
    version = reply.text.strip() if reply.status_code == 200 else mlflow.__version__
    if version.partition(".")[0] != mlflow.__version__.partition(".")[0]:
        raise BadConfiguration(
            f"the MLflow server is version {version[:20]}, this client is {mlflow.__version__}",
            where=address,
            hint="run a server of the client's major version",
        )


def _get(credentials: Any, address: str, endpoint: str, params: dict[str, str]) -> Any:
    try:
        return http_request(credentials, endpoint, "GET", params=params)  # type: ignore[no-untyped-call]
    except MlflowException as error:
        if any(sign in str(error) for sign in NO_HTTP):
            raise _not_mlflow(address) from error
        raise


def _json(reply: Any) -> dict[str, Any]:
    try:
        answer = reply.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _not_mlflow(address: str) -> Unavailable:
    return Unavailable(
        f"the server at {address} is not an MLflow server",
        hint="check MLFLOW_TRACKING_URI, or stop the program on that port and run: lockgate up",
    )
