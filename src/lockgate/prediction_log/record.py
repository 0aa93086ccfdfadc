"""One logged request: its rows, their answers, and the version that gave them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

Json = str | int | float | bool | None


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


class LoggedRow(NamedTuple):  # of dataclasses, the log of 10,000 rows takes a third more CPU time
    """One row and its answer. `prediction` is None where there are more than two classes.

    `segment` has the values of the key columns, `period` the number of the row's period, `horizon` its distance in
    periods from the end of training; None where the problem has none. Bounds are None where they are unknown.
    """

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
    rows: tuple[LoggedRow, ...]
