"""The table of boosters: how each one is fitted, how its file is read, and the file's name in a bundle.

A new booster is a file with `fit` and `restore` beside this one, a line in MEMBERS, and its section in params.yaml
(`problem/params.py`; the settings stay there so that reading params.yaml loads no booster library).
"""

from collections.abc import Callable
from dataclasses import dataclass

from lockgate.models import catboost, lightgbm, xgboost
from lockgate.models.booster import Booster, Fit


@dataclass(frozen=True)
class MemberType:
    """One library of boosters."""

    fit: Callable[..., Fit]  # (settings, rows to learn, rows to score or None, budget)
    restore: Callable[[bytes], Booster]  # reads what Booster.dump wrote
    file: str  # name in a bundle: a stored format


MEMBERS: dict[str, MemberType] = {
    "lightgbm": MemberType(lightgbm.fit, lightgbm.restore, "lightgbm.txt"),
    "xgboost": MemberType(xgboost.fit, xgboost.restore, "xgboost.ubj"),
    "catboost": MemberType(catboost.fit, catboost.restore, "catboost.cbm"),
}
