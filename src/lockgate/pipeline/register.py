"""Stage register: build/bundle becomes a version in MLflow's registry, once; the receipt says which."""

import sys
from pathlib import Path

from lockgate.operations import register
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import PARAMS_FILE, load_params
from lockgate.system import exit_codes


def main() -> None:
    """Run the stage; its folders and files are the arguments of the command."""
    prepared, build, receipt_path = map(Path, sys.argv[1:])
    params = load_params(PARAMS_FILE)
    receipt = register.register(Workspace.here(params.model_name), Build(prepared, build), params)
    receipt.write(receipt_path)
    sys.stderr.write(f"version {receipt.version} of {receipt.model} holds bundle {receipt.bundle_digest[:12]}\n")


if __name__ == "__main__":
    exit_codes.script(main)
