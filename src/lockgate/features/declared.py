"""Checks the features that a description declares, before any data are read."""

from lockgate.features.panel_state import declaration as of_states
from lockgate.features.plain_table import declaration as of_tables
from lockgate.features.recipes import recipe_of
from lockgate.problem.description import Problem


def check(problem: Problem) -> None:
    """Raise BadConfiguration for an unknown name, column or setting, with the nearest name."""
    match problem.kind:
        case "panel":
            recipe_of(problem)
        case "state":
            of_states.declaration(problem)
        case "table":
            of_tables.declaration(problem)
