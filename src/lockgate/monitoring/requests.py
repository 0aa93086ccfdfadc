"""The requests that servers answered, by window, and those that got no forecast. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lockgate.monitoring.windows import Windows

FAILED_FROM = 400  # the HTTP status of the first refusal


@dataclass(frozen=True)
class AnswerCount:
    """The requests of one minute that were answered with an HTTP status."""

    minute: datetime
    status: int
    requests: int


@dataclass(frozen=True)
class Requests:
    """The requests of a window, and how many of them were refused or failed."""

    asked: int
    failed: int

    @property
    def share(self) -> float:
        """The share without a forecast; NaN without requests."""
        return self.failed / self.asked if self.asked else float("nan")


def by_window(counts: Sequence[AnswerCount], windows: Windows) -> tuple[Requests, ...]:
    """The requests of each window, the newest first."""
    placed = [(windows.place_of(each.minute), each) for each in counts]
    return tuple(_sum([each for place, each in placed if place == number]) for number in range(windows.count))


def _sum(counts: Sequence[AnswerCount]) -> Requests:
    failed = sum(each.requests for each in counts if each.status >= FAILED_FROM)
    return Requests(sum(each.requests for each in counts), failed)
