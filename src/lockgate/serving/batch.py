"""Scores requests together and gives each its own answers. Together or alone, a request gets the same numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.forecaster.answers import by_column, impossible
from lockgate.forecaster.raw_rows import ArrayRows
from lockgate.problem.description import Problem
from lockgate.serving import refusals
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.refusals import Refused
from lockgate.serving.request_body import Asked


@dataclass(frozen=True)
class Scored:
    """The rows of some requests, one after the other, with their answers, as the forecaster took and gave them."""

    rows: ArrayRows
    answers: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Part:
    """The rows `start` to `stop` of what was scored together: those of one request."""

    scored: Scored
    start: int
    stop: int


Outcome = Part | Refused | Exception


def groups(live: LiveVersion, asked: Sequence[Asked], most: int) -> Iterator[list[int]]:
    """The places of the requests that are scored together: of one form and confidence, at most `most` rows.

    Requests for states share no key, because the rows of a key are read together. A version that is not exact scores
    each request alone.
    """
    problem = live.problem
    waiting: dict[Any, list[_Group]] = {}
    for place, each in enumerate(asked):
        if each.form is None or not live.is_exact:
            yield [place]
            continue
        keys = _keys(problem, each) if problem.kind == "state" else frozenset()
        found = waiting.setdefault((each.form, each.confidence), [])
        group = next((group for group in found if group.takes(each.rows, keys, most)), None)
        if group is None:
            found.append(_Group([place], each.rows, set(keys)))
        else:
            group.add(place, each.rows, keys)
    yield from (group.places for found in waiting.values() for group in found)


@dataclass
class _Group:
    places: list[int]
    rows: int
    keys: set[Any]

    def takes(self, rows: int, keys: frozenset[Any], most: int) -> bool:
        return self.rows + rows <= most and self.keys.isdisjoint(keys)

    def add(self, place: int, rows: int, keys: frozenset[Any]) -> None:
        self.places.append(place)
        self.rows += rows
        self.keys |= keys


def _keys(problem: Problem, asked: Asked) -> frozenset[Any]:
    return frozenset(zip(*(asked.columns[name].tolist() for name in problem.keys), strict=True))


def score(live: LiveVersion, asked: Sequence[Asked]) -> list[Outcome]:
    """The outcome of each request of one group. A request that cannot be forecast is refused, and the others are not.

    An exception is a bug that this request met alone.
    """
    try:
        return list(_scored(live, asked))
    except BadData as refusal:
        return _without_bad(live, asked, refusal)
    except Exception as bug:  # noqa: BLE001 - it may be that of one request; the others get their answers
        return [bug] if len(asked) == 1 else [score(live, [each])[0] for each in asked]


def _scored(live: LiveVersion, asked: Sequence[Asked]) -> Iterator[Part | Refused]:
    rows = rows_of(asked)
    scored = Scored(rows, by_column(live.forecaster, rows, asked[0].confidence))
    problems, start = impossible(live.problem, scored.answers), 0
    for each in asked:
        part = Part(scored, start, start + each.rows)
        own = [replace(found, row=found.row - start) for found in problems if part.start <= found.row < part.stop]
        yield refusals.of_forecasts(own) if own else part
        start = part.stop


def _without_bad(live: LiveVersion, asked: Sequence[Asked], refusal: BadData) -> list[Outcome]:
    """Refuse the requests with bad rows, and score the others together."""
    if len(asked) == 1:
        problems = live.forecaster.problems(rows_of(asked))
        return [refusals.of_rows(problems, asked[0].rows) if problems else Refused(400, refusal.message)]
    starts = np.cumsum([0, *(each.rows for each in asked)])
    rows = [problem.row for problem in live.forecaster.problems(rows_of(asked))]
    bad = set((np.searchsorted(starts, rows, side="right") - 1).tolist())
    good = [place for place in range(len(asked)) if place not in bad] if bad else []
    found = dict(zip(good, score(live, [asked[place] for place in good]), strict=True)) if good else {}
    return [found[place] if place in found else score(live, [each])[0] for place, each in enumerate(asked)]


def rows_of(asked: Sequence[Asked]) -> ArrayRows:
    """The rows of requests of one form, one request after the other."""
    if len(asked) == 1:
        return ArrayRows(asked[0].columns)
    return ArrayRows({name: np.concatenate([each.columns[name] for each in asked]) for name in asked[0].columns})
