"""Ground truth in the form in which it meets the log: by segment and period, or by request and row."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from lockgate.data.truth_file import REQUEST, ROW
from lockgate.prediction_log import segments
from lockgate.prediction_log.record import Json
from lockgate.problem.description import Problem
from lockgate.problem.target_values import class_texts


class TruthRow(NamedTuple):
    """The true value, or class, of a segment and period, or of a row of a request."""

    segment: dict[str, Json]
    period: int | None
    request_id: str | None
    row: int | None
    value: float | None
    true_class: str | None


def truth_rows(problem: Problem, rows: pd.DataFrame) -> list[TruthRow]:
    """The rows of a file of truth, in their order. Periods left are at most the cap of the description."""
    unknown = [None] * len(rows)
    by_request = REQUEST in rows
    periods = None if by_request else segments.periods(problem, rows)
    return list(
        map(
            TruthRow,
            segments.segments(problem, rows),
            unknown if periods is None else periods.tolist(),
            rows[REQUEST].tolist() if by_request else unknown,
            rows[ROW].tolist() if by_request else unknown,
            _values(problem, rows) if problem.task == "regression" else unknown,
            unknown if problem.task == "regression" else class_texts(rows[problem.target]).tolist(),
        )
    )


def _values(problem: Problem, rows: pd.DataFrame) -> list[float]:
    values = rows[problem.target].to_numpy(dtype=np.float64)
    cap = problem.derived.cap if problem.derived else None
    found: list[float] = np.minimum(values, cap or np.inf).tolist()
    return found
