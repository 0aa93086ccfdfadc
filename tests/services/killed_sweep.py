"""Runs a sweep of the working directory, and kills its own process after some scores of folds: MODEL SCORES."""

import itertools
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from lockgate.operations import sweep
from lockgate.operations.sweep_setup import Setup
from lockgate.operations.workspace import Workspace
from lockgate.sweep import executor


def main(model: str, scores: int) -> None:
    scored, counted = executor.score_first_folds, itertools.count(1)

    def score(*given):
        if next(counted) > scores:
            os.kill(os.getpid(), signal.SIGKILL)
        return scored(*given)

    executor.score_first_folds = score
    workspace = replace(Workspace.here(model, 10.0), home=Path.cwd() / ".lockgate")
    sweep.sweep(workspace, Setup.of(Path("data/prepared")), sweep.Order(5), print)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
