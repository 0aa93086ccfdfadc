"""Each library's own file, opened again."""

from collections.abc import Callable

from lockgate.models import catboost, lightgbm, xgboost
from lockgate.models.booster import Booster

RESTORE: dict[str, Callable[[bytes], Booster]] = {
    "lightgbm": lightgbm.restore,
    "xgboost": xgboost.restore,
    "catboost": catboost.restore,
}
