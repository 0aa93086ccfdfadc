"""The logged requests of a batch: some rows of a file each, as many as fit into memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import pandas as pd

from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.prediction_log.record import LoggedRequest, Scorer
from lockgate.prediction_log.rows import logged_rows

ROWS = 10_000  # of one logged request: its Python objects must fit into memory


@dataclass(frozen=True)
class BatchRequests:
    """Makes the requests of a batch that a version has scored, with bounds of this confidence."""

    scorer: Scorer
    forecaster: ForecasterProtocol
    confidence: float

    def of(self, rows: pd.DataFrame, answers: pd.DataFrame, seconds: float) -> Iterator[LoggedRequest]:
        """The requests of rows with their answers, which took this long."""
        for start in range(0, len(rows), ROWS):
            part = slice(start, start + ROWS)
            asked, found = rows.iloc[part], answers.iloc[part]
            yield self._request(asked, found, 1000 * seconds * len(asked) / len(rows))

    def _request(self, rows: pd.DataFrame, answers: pd.DataFrame, milliseconds: float) -> LoggedRequest:
        forecaster = self.forecaster
        return LoggedRequest(
            str(uuid4()), None, datetime.now(UTC), self.scorer, self.confidence, milliseconds,
            logged_rows(forecaster.problem, forecaster, rows, answers),
        )  # fmt: skip
