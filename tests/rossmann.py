"""The problem of the repository's own params.yaml: Rossmann's daily sales."""

from pathlib import Path

from lockgate.problem.description import Problem
from lockgate.problem.params import load_params

PROBLEM: Problem = load_params(Path(__file__).resolve().parents[1] / "params.yaml").problem


def of_horizon(periods: int) -> Problem:
    """The same problem with another horizon."""
    return PROBLEM.model_copy(update={"horizon": periods})
