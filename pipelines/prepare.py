"""Stage prepare, as dvc.yaml runs it; the stage is lockgate.pipeline.prepare."""

from lockgate.pipeline.prepare import main
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.script(main)
