"""Stage register, as dvc.yaml runs it; the stage is lockgate.pipeline.register."""

from lockgate.pipeline.register import main
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.script(main)
