"""Stage register: build/bundle becomes a version in MLflow's registry, once; the receipt says which.

python -m lockgate.pipeline.register data/prepared build build/version.json
"""

import sys
from pathlib import Path

from lockgate.operations import register
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import PARAMS_FILE, load_params
from lockgate.system import exit_codes


def main(prepared: Path, build: Path, receipt_path: Path) -> None:
    """Find or create the version of the bundle, and write its receipt."""
    params = load_params(PARAMS_FILE)
    receipt = register.register(Workspace.here(params.model_name), Build(prepared, build), params)
    receipt.write(receipt_path)
    sys.stderr.write(f"version {receipt.version} of {receipt.model} holds bundle {receipt.bundle_digest[:12]}\n")


if __name__ == "__main__":
    exit_codes.stage(main)
