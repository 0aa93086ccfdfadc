"""Stage train, as dvc.yaml runs it; the stage is lockgate.pipeline.train."""

from lockgate.pipeline.train import main
from lockgate.system import exit_codes

if __name__ == "__main__":
    exit_codes.script(main)
