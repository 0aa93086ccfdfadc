"""Logged requests for tests of the prediction log."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from lockgate.prediction_log.record import LoggedRequest, LoggedRow, Role, Scorer

MODEL = "shops-ensemble"
START = datetime(2026, 3, 31, 23, 59, 59, 123457, tzinfo=UTC)
SERVED = Scorer(MODEL, 3, "ab" * 32, "Production", Role.SERVED)


def row(shop: int = 1, period: int | None = 20_000, **changes: object) -> LoggedRow:
    """A row of a shop; `changes` are other fields."""
    segment: Mapping[str, int] = {"shop": shop}
    plain = LoggedRow(
        {"shop": shop, "day": "2024-10-04", "promo": 1}, segment, period, 3, 100.5, 90.25, 110.125, None, None
    )
    return plain._replace(**changes)


def request(
    *rows: LoggedRow, scorer: Scorer = SERVED, minutes: float = 0, caller_id: str | None = "c1"
) -> LoggedRequest:
    """A request, this many minutes after START; one row by default."""
    at = START + timedelta(minutes=minutes)
    return LoggedRequest(str(uuid4()), caller_id, at, scorer, 0.9, 1.5, rows or (row(),))
