"""Exits with 0 if the scoring server at the address in the first argument forecasts its model's registered example."""

import sys
import tempfile
import urllib.request
from pathlib import Path

EXAMPLE = "serving_input_example.json"
SECONDS = 8

if __name__ == "__main__":
    # `mlflow models serve` downloads the model into the temporary folder, which no other container shares.
    examples = sorted(Path(tempfile.gettempdir()).rglob(EXAMPLE), key=lambda path: path.stat().st_mtime)
    if not examples:
        sys.exit(f"the model that is served has no {EXAMPLE}")
    header = {"Content-Type": "application/json"}
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    address = sys.argv[1] + "/invocations"
    request = urllib.request.Request(address, examples[-1].read_bytes(), header)  # noqa: S310 - as in docker-compose.yml
    direct.open(request, timeout=SECONDS).close()
