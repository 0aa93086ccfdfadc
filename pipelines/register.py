"""Stage register: build/bundle becomes a version in MLflow's registry, once; the receipt says which."""

import sys
from pathlib import Path

from lockgate import exits, registration
from lockgate.backend import Backend
from lockgate.build import Build
from lockgate.params import PARAMS_FILE, load_params


def main() -> None:
    prepared, build, receipt_path = map(Path, sys.argv[1:])
    params = load_params(PARAMS_FILE)
    receipt = registration.register(Backend.here(params.model_name), Build(prepared, build), params)
    receipt.write(receipt_path)
    print(f"version {receipt.version} of {receipt.model} holds bundle {receipt.bundle_digest[:12]}", file=sys.stderr)


if __name__ == "__main__":
    exits.script(main)
