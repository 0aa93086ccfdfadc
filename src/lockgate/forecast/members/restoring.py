"""Each library's own file, opened again."""

from collections.abc import Callable

from lockgate.forecast.members import cat, lgbm, xgb
from lockgate.forecast.members.task import Booster

RESTORE: dict[str, Callable[[bytes], Booster]] = {
    "lightgbm": lgbm.restore,
    "xgboost": xgb.restore,
    "catboost": cat.restore,
}
