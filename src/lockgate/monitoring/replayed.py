"""A version that scores logged rows again, beside the forecasts that were given then. Pure."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.evaluation.paired_test import Actual, PairedTest
from lockgate.evaluation.slices import Background
from lockgate.monitoring.live import Bools, Floats, Live
from lockgate.problem.metrics import METRICS

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Replay:
    """What a version would have forecast, beside what was answered, on the same rows.

    `rows` were asked, `refused` are those that the version does not take, `waiting` have no truth yet. `changed` is the
    mean absolute difference of the forecasts; of more than two classes, the share of rows with another class.
    `compared` is the paired test on the rows with a truth, None without such a row. `may_have_learned` counts the rows
    whose truth was known when the version was registered. Of a large log, the rows are those of one key in `one_in`.
    """

    version: int
    rows: int
    refused: int
    waiting: int
    changed: float
    compared: PairedTest | None
    may_have_learned: int
    one_in: int = 1

    @property
    def would_be(self) -> str:
        """Whether the version would have been `better` or `worse`; `undecided` if the interval holds 0."""
        if self.compared is None:
            return "unknown"
        low, high = self.compared.difference.interval()
        if high < 0:
            return "better"
        return "worse" if low > 0 else "undecided"


@dataclass(frozen=True)
class Again:
    """The forecasts of logged rows by a version, and the rows that it takes; `registered_at` is that of the version."""

    version: int
    registered_at: datetime
    forecast: Floats
    covered: Bools


def batches(live: Live) -> Ints:
    """The batch of each row: rows may share one, but of a state no key is twice in it, since its rows are its history.

    So the rows of a request and key are together, as they were asked.
    """
    if live.problem.kind != "state":
        return np.zeros(len(live), dtype=np.int64)
    asked = pd.DataFrame({name: live.about[name] for name in ("key", "request_id", "role")})
    first = asked.drop_duplicates()
    number = first.assign(batch=first.groupby("key").cumcount())
    return np.asarray(asked.merge(number, how="left", on=list(asked))["batch"], dtype=np.int64)


def aligned(forecast: Floats, classes: tuple[str, ...], wanted: tuple[str, ...]) -> Floats:
    """The probabilities of a version in the order of other classes; 0 for a class that the version does not know."""
    if forecast.ndim == 1:
        return forecast
    place = {name: number for number, name in enumerate(classes)}
    found = np.zeros((len(forecast), len(wanted)))
    for number, name in enumerate(wanted):
        if name in place:
            found[:, number] = forecast[:, place[name]]
    return found


def replayed(again: Again, live: Live, counts: Bools, background: Background) -> Replay:
    """The comparison of a version's forecasts of all rows with those that were given; `counts` are compared."""
    chosen = again.covered & counts
    both, forecast = live.where(chosen), again.forecast[chosen]
    scored = both.scored
    known = both.where(scored)
    compared = _compared(known, forecast[scored], background) if scored.any() else None
    learned = int((known.about["truth_at"] < again.registered_at).sum())
    return Replay(
        again.version,
        int(counts.sum()),
        int((counts & ~again.covered).sum()),
        int(both.waiting.sum()),
        _changed(forecast, both.forecast),
        compared,
        learned,
    )


def _compared(known: Live, forecast: Floats, background: Background) -> PairedTest | None:
    problem = known.problem
    actual = Actual.of(problem, METRICS[problem.metric], known.rows, known.classes, background.history)
    return actual.compare(forecast, known.forecast) if actual.counts.any() else None


def _changed(first: Floats, second: Floats) -> float:
    if not len(first):
        return float("nan")
    if first.ndim == 2:
        return float((first.argmax(axis=1) != second.argmax(axis=1)).mean())
    return float(np.abs(first - second).mean())
