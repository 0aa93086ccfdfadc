"""The recipe of a panel by its description."""

from lockgate.features.recipe import Recipe
from lockgate.features.store_panel.recipe import STORE_PANEL
from lockgate.problem.description import Problem


def recipe_of(problem: Problem) -> Recipe:
    """The recipe that `problem.features` names."""
    return STORE_PANEL
