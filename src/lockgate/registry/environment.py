"""Which of MLflow's own environment variables count: how to reach and log in to the server, and nothing else.

MLflow's client obeys about a hundred variables. One that a user has set for another project (another registry, another
workspace, endless retries) would change what a command does without a word.
"""

import os
from collections.abc import MutableMapping

PREFIX = "MLFLOW_"
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
    # where the server does not hand out artifacts itself
    "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_S3_IGNORE_TLS",
    "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE",
}


def forget_foreign_settings(environment: MutableMapping[str, str] = os.environ) -> None:
    """Remove every variable of MLflow that is not in OBEYED from this process and from what it starts."""
    for name in [name for name in environment if name.startswith(PREFIX) and name not in OBEYED]:
        del environment[name]
