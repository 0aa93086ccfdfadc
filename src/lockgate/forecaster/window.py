"""The periods of a panel that a forecaster knows, is judged on, and forecasts."""

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from lockgate.problem.periods import Period

TIMES = {"hour": "times", "integer": "numbers"}  # the word for the times of a period; for others: dates


@dataclass(frozen=True)
class Window:
    """Periods by their numbers: trained until `cutoff`, judged by the gate until `judged`, forecast until `last`."""

    cutoff: int
    judged: int
    last: int

    @property
    def horizon(self) -> int:
        """The number of periods that the gate judges."""
        return self.judged - self.cutoff

    def trained_until(self, period: Period) -> date | int:
        """The first day of the last training period; its number if time is a running number."""
        if period.is_integer:
            return self.cutoff
        start: datetime = period.start(np.array([self.cutoff]))[0].item()
        return start.date()

    def allowed(self, period: Period) -> str:
        """The times that can be forecast, as text."""
        return f"{TIMES.get(period.name, 'dates')} from {period.text(self.cutoff + 1)} to {period.text(self.last)}"
