"""The table of members: how each one is fitted, how its file is read, and the file's name in a bundle.

A new booster is a file with `fit` and `restore` beside this one, a line in MEMBERS, and its section in params.yaml
(`problem/params.py`; the settings stay there so that reading params.yaml loads no booster library).
"""

from collections.abc import Callable
from dataclasses import dataclass

from lockgate.models import catboost, lightgbm, linear, random_forest, xgboost
from lockgate.models.booster import Booster, Fit


@dataclass(frozen=True)
class MemberType:
    """One kind of member."""

    fit: Callable[..., Fit]  # (settings, rows to learn, rows to score or None, budget)
    restore: Callable[[bytes], Booster]  # reads what Booster.dump wrote
    file: str  # name in a bundle: a stored format


# The boosters: members of every kind of forecaster.
MEMBERS: dict[str, MemberType] = {
    "lightgbm": MemberType(lightgbm.fit, lightgbm.restore, "lightgbm.txt"),
    "xgboost": MemberType(xgboost.fit, xgboost.restore, "xgboost.ubj"),
    "catboost": MemberType(catboost.fit, catboost.restore, "catboost.cbm"),
}

# The members of plain tables and states; the linear member of a panel is the model of its recipe.
TABLE_MEMBERS: dict[str, MemberType] = {
    **MEMBERS,
    "random_forest": MemberType(random_forest.fit, random_forest.restore, "random_forest.npz"),
    "linear": MemberType(linear.fit, linear.restore, "linear.npz"),
}
