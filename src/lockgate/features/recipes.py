"""The recipe of a panel by its description."""

from lockgate.features.panel_recipe.recipe import panel_recipe
from lockgate.features.recipe import Recipe
from lockgate.features.store_panel.recipe import STORE_PANEL
from lockgate.problem.description import Problem

OWN = {"store_panel": STORE_PANEL}  # recipes with feature functions of their own


def recipe_of(problem: Problem) -> Recipe:
    """The recipe that `problem.features` names: one of OWN by its name alone, else that of the declared features."""
    if len(problem.features) == 1 and problem.features[0] in OWN:
        return OWN[problem.features[0]]
    return panel_recipe(problem)
