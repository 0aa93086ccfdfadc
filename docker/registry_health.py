"""Exits with 0 if the MLflow server at the address in the first argument reads its registry.

`/health` is no such read: it says OK while the database is down.
"""

import base64
import os
import sys
import urllib.request

READ = "/api/2.0/mlflow/registered-models/search?max_results=1"
SECONDS = 8

if __name__ == "__main__":
    login = f"{os.environ['MLFLOW_AUTH_ADMIN_USERNAME']}:{os.environ['MLFLOW_AUTH_ADMIN_PASSWORD']}"
    header = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(sys.argv[1] + READ, headers=header)  # noqa: S310 - the address in docker-compose.yml
    direct.open(request, timeout=SECONDS).close()
