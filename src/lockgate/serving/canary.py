"""Which requests a canary answers: a share of the keys, always the same ones, and more of them as the share grows."""

import hashlib
from typing import Any

from lockgate.problem.description import Problem
from lockgate.serving.request_body import Asked


def of_canary(model: str, problem: Problem, asked: Asked, caller_id: str | None, share: int) -> bool:
    """Whether the canary answers the request, for a share in percent.

    The whole request follows the key of its first row. Without keys it follows the caller's id of the request, and
    without such an id the values of its first row.
    """
    return share > 0 and _percent(model, _name(problem, asked, caller_id)) < share


def _name(problem: Problem, asked: Asked, caller_id: str | None) -> list[str]:
    if problem.keys:
        return [_text(asked.columns[name][0]) for name in problem.keys]
    return [caller_id] if caller_id else [_text(values[0]) for values in asked.columns.values()]


def _text(value: Any) -> str:
    """A key as text: 1, 1.0 and "1" are one key, as they are in the log."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _percent(model: str, name: list[str]) -> float:
    """A number from 0 up to 100 that depends on the name alone."""
    digest = hashlib.blake2b("\0".join([model, *name]).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64 * 100
