"""Stage validate: the gate judges the registered version; a passed one moves to Staging. Refused is exit 0 too."""

from lockgate.pipeline import validate
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.stage(validate.main)
