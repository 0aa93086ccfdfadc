"""Which of MLflow's own environment variables count: only those for the address of the server and the login.

MLflow's client reads about a hundred variables. A variable for another project (another registry, another workspace,
endless retries) would silently change what a command does.
"""

import os
from collections.abc import Mapping, MutableMapping

PREFIX = "MLFLOW_"
PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy"}
PARENT_RUN = "MLFLOW_RUN_ID"  # set by `mlflow run`
OBEYED = {
    PARENT_RUN,
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    # if the server does not serve artifacts itself
    "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_S3_IGNORE_TLS",
    "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE",
}


LOOPBACK = "localhost,127.0.0.0/8,127.0.0.1,::1"


def reach_loopback_directly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Add the loopback addresses to the hosts without a proxy, for this process and its children."""
    excluded = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if LOOPBACK not in excluded and excluded.strip() != "*":
        environment["no_proxy"] = environment["NO_PROXY"] = f"{excluded},{LOOPBACK}".lstrip(",")


def proxy_variable(environment: Mapping[str, str] = os.environ) -> str:
    """The name of the variable that sets a proxy; empty without a proxy."""
    return next((name for name in environment if name.lower() in PROXY_VARIABLES and environment[name]), "")


def forget_foreign_settings(environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove every variable of MLflow that is not in OBEYED, for this process and its children."""
    for name in [name for name in environment if name.startswith(PREFIX) and name not in OBEYED]:
        del environment[name]
