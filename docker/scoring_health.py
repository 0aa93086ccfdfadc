"""Exits with 0 if the scoring server at the address in the first argument has a version that answers."""

import json
import sys
import urllib.request

SECONDS = 8

if __name__ == "__main__":
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(sys.argv[1] + "/health", timeout=SECONDS) as reply:
        found = json.load(reply)
    if not found["ready"]:
        sys.exit("no version answers")
