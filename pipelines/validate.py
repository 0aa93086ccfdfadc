"""Stage validate: the gate judges the registered version; a passed one moves to Staging. Refused is exit 0 too."""

import sys
from pathlib import Path

from lockgate.pipeline import validate
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.script(lambda: validate.main(*map(Path, sys.argv[1:])))
