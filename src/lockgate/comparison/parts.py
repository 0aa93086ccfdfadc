"""The slices of a comparison: those of the problem, and the weekday of a day."""

import pandas as pd

from lockgate.evaluation import slices
from lockgate.evaluation.slices import MOST_VALUES, WEEKDAY, Background, Parts
from lockgate.problem.description import Problem

__all__ = ["MOST_VALUES", "Background", "parts"]


def parts(problem: Problem, rows: pd.DataFrame, known: Background) -> Parts:
    """Each slice, and which of the rows are in the slice. A row with an unknown value is in no slice of that way."""
    found = slices.parts(problem, rows, known)
    if problem.time and problem.period.name == "day" and WEEKDAY not in problem.slices:
        found += tuple(slices.of_values(WEEKDAY, slices.weekdays(problem, rows)))
    return found
