"""One logged request: its rows, their answers, and the version that gave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Json = str | int | float | bool | None
Column = Sequence[Json] | NDArray[Any]  # an array has booleans, integers or floats; NaN and infinity are unknown values


class Role(StrEnum):
    """Why a version scored a request: `served`, `canary` and `batch` were answers, `shadow` was only logged."""

    SERVED = "served"
    CANARY = "canary"
    SHADOW = "shadow"
    BATCH = "batch"


@dataclass(frozen=True)
class Scorer:
    """The version that scored a request, its digest, stage and role; `degraded`: it was the fallback."""

    model: str
    version: int
    digest: str
    stage: str | None
    role: Role
    degraded: bool = False


@dataclass(frozen=True)
class LoggedRows:
    """Rows and their answers by column, each with one value a row. A column that the problem does not have is None.

    `segment` has the values of the key columns, `period` the number of the row's period, `horizon` its distance in
    periods from the end of training. `prediction` is None where there are more than two classes.
    """

    count: int
    features: Mapping[str, Column]
    segment: Mapping[str, Column]
    period: Column | None = None
    horizon: Column | None = None
    prediction: Column | None = None
    lower: Column | None = None
    upper: Column | None = None
    chosen_class: Column | None = None
    probabilities: Mapping[str, Column] | None = None

    def part(self, start: int, stop: int) -> "LoggedRows":
        """The rows from `start` to `stop`."""
        if (start, stop) == (0, self.count):
            return self
        columns = {name: _cut(value, start, stop) for name, value in vars(self).items()}
        return LoggedRows(**columns | {"count": min(stop, self.count) - start})


def _cut(value: Any, start: int, stop: int) -> Any:
    """The rows of a column, or of a group of columns."""
    if isinstance(value, Mapping):
        return {name: each[start:stop] for name, each in value.items()}
    return value[start:stop] if isinstance(value, Sequence | np.ndarray) else value


class LoggedRow(NamedTuple):
    """One row on record, as it is read from Postgres; the fields are those of `LoggedRows`."""

    features: Mapping[str, Json]
    segment: Mapping[str, Json]
    period: int | None
    horizon: int | None
    prediction: float | None
    lower: float | None
    upper: float | None
    chosen_class: str | None
    probabilities: Mapping[str, float] | None


@dataclass(frozen=True)
class LoggedRequest:
    """The rows of one request, scored in `latency_ms`. `request_id` is a UUID, `caller_id` is the caller's own."""

    request_id: str
    caller_id: str | None
    at: datetime
    scorer: Scorer
    confidence: float
    latency_ms: float
    rows: LoggedRows
