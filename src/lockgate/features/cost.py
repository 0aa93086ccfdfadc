"""What each group of features costs: CPU time of this process, taken where the features are made.

Nothing is counted unless somebody asks, and what is counted enters no bundle.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from time import process_time
from typing import Literal, ParamSpec, TypeVar, get_args

Group = Literal["plans", "calendar", "stores", "ridge", "past sales"]

P = ParamSpec("P")
R = TypeVar("R")

GROUPS: tuple[Group, ...] = get_args(Group)
OF_THEIR_ROW: dict[Group, tuple[str, ...]] = {
    "plans": ("promo", "school", "state_holiday"),
    "calendar": (
        "weekday",
        "month",
        "day_of_month",
        "days_to_month_end",
        "day_of_year",
        "from_easter",
        "to_holiday",
        "from_holiday",
    ),
    "stores": ("kind", "assortment", "distance", "competition_days", "promo2", "promo2_days"),
    "ridge": ("ridge",),
}


@dataclass
class Account:
    """CPU-seconds by group so far, all threads together."""

    seconds: dict[Group, float] = field(default_factory=lambda: dict.fromkeys(GROUPS, 0.0))
    open: bool = False  # a marked function is running


_account: ContextVar[Account | None] = ContextVar("account", default=None)


def group_of(feature: str) -> Group:
    """The group that a feature belongs to; what is not of its row, its store or the ridge is of past sales."""
    return next((group for group, names in OF_THEIR_ROW.items() if feature in names), "past sales")


@contextmanager
def counting() -> Iterator[Account]:
    """An account of the features that are made in the block, in this thread; it grows while the block runs."""
    account = Account()
    token = _account.set(account)
    try:
        yield account
    finally:
        _account.reset(token)


def costs(group: Group) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as making features of a group; what it calls counts for it, whatever that is marked as."""

    def marked(make: Callable[P, R]) -> Callable[P, R]:
        @wraps(make)
        def counted(*args: P.args, **kwargs: P.kwargs) -> R:
            account = _account.get()
            if account is None or account.open:
                return make(*args, **kwargs)
            account.open, started = True, process_time()
            try:
                return make(*args, **kwargs)
            finally:
                account.seconds[group] += process_time() - started
                account.open = False

        return counted

    return marked
