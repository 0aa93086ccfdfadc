"""Runs linear algebra on one thread, so that results do not depend on the number of cores."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

P = ParamSpec("P")
R = TypeVar("R")


def on_one_thread(compute: Callable[P, R]) -> Callable[P, R]:
    """Decorator: run the function with one BLAS thread, so that its result does not depend on the number of cores."""

    @wraps(compute)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with threadpool_limits(limits=1, user_api="blas"):
            return compute(*args, **kwargs)

    return limited
