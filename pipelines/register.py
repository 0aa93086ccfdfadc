"""Stage register: build/bundle becomes a version in MLflow's registry, once; the receipt says which."""

import sys
from pathlib import Path

from lockgate.pipeline import register
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.script(lambda: register.main(*map(Path, sys.argv[1:])))
