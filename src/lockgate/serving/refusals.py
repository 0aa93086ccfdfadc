"""A request that gets no forecast: the status, the message, and what is allowed. It repeats no value of the request."""

import json
from collections.abc import Sequence
from typing import Any

from lockgate.forecaster.checked_rows import RowProblem

SHOWN = 100  # rows in a body
# MLflow's names of errors, by status
CODES = {
    400: "BAD_REQUEST",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    405: "BAD_REQUEST",
    408: "REQUEST_TIMEOUT",
    409: "RESOURCE_CONFLICT",
    413: "REQUEST_LIMIT_EXCEEDED",
    415: "BAD_REQUEST",
    422: "INVALID_PARAMETER_VALUE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


class Refused(Exception):
    """A refusal with its HTTP status. `more` are further fields of the body."""

    def __init__(self, status: int, message: str, hint: str = "", **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = f"{message}; {hint}" if hint else message
        self.more = more

    @property
    def body(self) -> bytes:
        """The JSON of the answer."""
        return json.dumps({"error_code": CODES[self.status], "message": self.message, **self.more}).encode()


def of_rows(problems: Sequence[RowProblem], rows: int) -> Refused:
    """The refusal of rows that cannot be forecast: a list of their columns and what is allowed there."""
    return Refused(422, f"{_rows(problems)} of {rows} rows cannot be forecast", rows=_listed(problems))


def of_forecasts(problems: Sequence[RowProblem]) -> Refused:
    """The refusal of rows whose forecasts are impossible, in the same form."""
    return Refused(422, f"the model has no possible forecast for {_rows(problems)} rows", rows=_listed(problems))


def _rows(problems: Sequence[RowProblem]) -> int:
    return len({problem.row for problem in problems})


def _listed(problems: Sequence[RowProblem]) -> list[dict[str, Any]]:
    return [{"row": each.row, "column": each.column, "allowed": each.allowed} for each in problems[:SHOWN]]
