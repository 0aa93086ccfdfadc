"""Counts answers by minute and status until Postgres has them."""

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime


class RequestCounts:
    """The answers of one process that are not in Postgres yet. Safe for threads; a killed process loses them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[datetime, int]] = Counter()

    def count(self, status: int) -> None:
        """Count an answer of this minute."""
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        with self._lock:
            self._counts[minute, status] += 1

    def waiting(self) -> Mapping[tuple[datetime, int], int]:
        """The counts now."""
        with self._lock:
            return dict(self._counts)

    def forget(self, counts: Mapping[tuple[datetime, int], int]) -> None:
        """Subtract counts that Postgres has."""
        with self._lock:
            self._counts.subtract(counts)
            self._counts += Counter()  # drops those that are zero
