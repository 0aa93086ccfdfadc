"""The recipe of a plain table or of states, by its kind."""

from lockgate.features.panel_state.recipe import PANEL_STATE
from lockgate.features.plain_table.recipe import PLAIN_TABLE
from lockgate.features.tabular import TabularRecipe
from lockgate.problem.description import Kind, Problem

BY_KIND: dict[Kind, TabularRecipe] = {"table": PLAIN_TABLE, "state": PANEL_STATE}


def tabular_recipe(problem: Problem) -> TabularRecipe:
    """The recipe for a problem of this kind. Raises KeyError for a panel."""
    return BY_KIND[problem.kind]
