"""Gives MLflow's user `scoring` the password in SCORING_PASSWORD, and makes the user if there is none.

The user has no permission of its own: it may do what every user may, which basic_auth.ini sets to READ.
"""

import base64
import json
import os
import urllib.request
from urllib.error import HTTPError

USERS = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/users/"
LOGIN = f"{os.environ['MLFLOW_TRACKING_USERNAME']}:{os.environ['MLFLOW_TRACKING_PASSWORD']}"
ACCOUNT = {"username": "scoring", "password": os.environ["SCORING_PASSWORD"]}
SECONDS = 30


def call(method: str, verb: str) -> None:
    """One call of MLflow's users API about the account; HTTPError if it is refused."""
    header = {
        "Content-Type": "application/json",
        "Authorization": "Basic " + base64.b64encode(LOGIN.encode()).decode(),
    }
    body = json.dumps(ACCOUNT).encode()
    request = urllib.request.Request(USERS + verb, body, header, method=method)  # noqa: S310 - as in docker-compose.yml
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(request, timeout=SECONDS).close()


if __name__ == "__main__":
    try:
        call("POST", "create")
    except HTTPError as error:
        with error:
            if json.load(error).get("error_code") != "RESOURCE_ALREADY_EXISTS":
                raise
        call("PATCH", "update-password")
