"""Scores settings on the inner folds, one fold after the other: what a sweep compares. The holdout is never read.

On all folds, the score is the one that the training with the same settings reports for its blend.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from time import process_time
from typing import Protocol

import numpy as np
import pandas as pd

from lockgate import digests
from lockgate.features.recipe import Table
from lockgate.forecaster.table import weighted
from lockgate.models.booster import Fit
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params
from lockgate.training import panel, report, table
from lockgate.training.fitting import Steps
from lockgate.training.folds import Fold, run_fold
from lockgate.training.report import ALL_FOLDS, BLEND, Truth, score_of
from lockgate.training.schedule import schedule
from lockgate.training.selection import choose


@dataclass(frozen=True)
class InnerScore:
    """The score of the blend on the first folds, in units of the metric: together, and on each by its name."""

    together: float
    of_folds: Mapping[str, float]
    folds: int  # in all
    metric: str
    cpu_seconds: float

    @property
    def done(self) -> bool:
        """Whether all folds are scored."""
        return len(self.of_folds) == self.folds

    @property
    def error(self) -> float:
        """The size of the error: lower is better in every metric."""
        return METRICS[self.metric].error(self.together)


@dataclass(frozen=True)
class Tables:
    """The rows to train on, the static features, and the digest of the data."""

    rows: pd.DataFrame
    static: pd.DataFrame
    digest: str


class InnerFolds(Protocol):
    """The inner folds of some data. The fits of the newest settings are kept, so that one more fold costs one fold."""

    count: int

    def score(self, params: Params, folds: int) -> tuple[float, dict[str, float]]:
        """The score of the blend on the first folds together, and on each of them."""


def score_first_folds(tables: Tables, params: Params, folds: int) -> InnerScore:
    """The score of settings on the first folds.

    A pure function: the same data and params give the same score in any process. What does not depend on the settings,
    and the fits of the newest ones, are kept in this process. Raises BadData if there is too little to learn from.
    """
    started = process_time()
    with _KEPT.lock:
        inner = _KEPT.of(tables, params)
        together, of_folds = inner.score(params, folds)
    return InnerScore(together, of_folds, inner.count, params.problem.metric, process_time() - started)


def forget() -> None:
    """Free what this process keeps. It does not wait for a score that is being computed, which keeps its own."""
    _KEPT.known = None


@dataclass
class _Kept:
    """The inner folds of the newest data and description."""

    lock: Lock = field(default_factory=Lock)
    known: tuple[str, InnerFolds] | None = None

    def of(self, tables: Tables, params: Params) -> InnerFolds:
        digest = digests.of_json([tables.digest, *_of_folds(params)])
        known = self.known
        if known is None or known[0] != digest:
            known = self.known = None  # free the memory before the next ones are made
            made = PanelFolds if params.problem.kind == "panel" else TableFolds
            known = self.known = digest, made(tables, params)
        return known[1]


_KEPT = _Kept()


def _of_folds(params: Params) -> tuple[object, ...]:
    """What the folds and their features depend on."""
    times = params.training.model_dump(include={"fold_ends_days_ago", "cutoff_shifts", "min_history_days"})
    return params.problem.model_dump(mode="json"), times, params.seed


class PanelFolds:
    """The inner time folds of a panel: windows of the horizon."""

    def __init__(self, tables: Tables, params: Params) -> None:
        given = Table.of(params.problem, tables.rows, tables.static)
        self._plan = panel.plan_of(given, schedule(given, params), params, _silent)
        self._errors = panel.naive_errors(params.problem, tables.rows, self._plan.final_state)
        self._fitted: tuple[Params, list[Fold]] = params, []
        self.count = len(self._plan.fold_ends)

    def score(self, params: Params, folds: int) -> tuple[float, dict[str, float]]:
        """The score of the blend on the first folds together, and on each of them."""
        first = self._first(params, folds)
        scores = report.scores(first, choose(first, params), self._errors, params.problem)
        of_blend = {each.fold: each.scores[params.problem.metric] for each in scores if each.member == BLEND}
        return of_blend.pop(ALL_FOLDS), of_blend

    def _first(self, params: Params, folds: int) -> list[Fold]:
        if self._fitted[0] != params:
            self._fitted = params, []
        session, fitted = replace(self._plan.session, params=params), self._fitted[1]
        for end in self._plan.fold_ends[len(fitted) : folds]:
            fitted.append(run_fold(end, session))
        return fitted[:folds]


@dataclass(frozen=True)
class _RememberingSession(table.Session):
    """A session that fits each member once on each fold."""

    known: dict[tuple[str, str, int], Fit]

    def watched(self, name: str, part: table.Part) -> Fit:
        key = name, self.objective.scale, id(part.train)
        if key not in self.known:
            self.known[key] = super().watched(name, part)
        return self.known[key]


class TableFolds:
    """The inner folds of a plain table or of states: rows or keys at random."""

    def __init__(self, tables: Tables, params: Params) -> None:
        self._names, self._seed = table.member_names(params.problem), params.seed
        self._data = table.data_of(params.problem, tables.rows, params.seed)
        self.count = int(self._data.fold.max()) + 1
        self._parts: list[table.Part] = []
        self._session: tuple[Params, _RememberingSession] | None = None

    def score(self, params: Params, folds: int) -> tuple[float, dict[str, float]]:
        """The score of the blend on the first folds together, and on each of them.

        Only the forecasts of all folds are calibrated, as those of the training are.
        """
        session, parts = self._session_of(params), self._first(folds)
        data, parts = (self._data, parts) if folds >= self.count else _only(self._data, parts)
        chosen = table.choose(data, parts, self._names, session)
        forecasts = weighted(chosen.weights, chosen.members)
        if folds >= self.count:
            forecasts = table.calibrated(data, chosen)[1]
        names = (params.problem.metric,)
        places = [(str(number + 1), data.fold == number) for number in range(len(parts))]
        scores = {
            name: score_of(BLEND, name, Truth(data.target[of]), forecasts[of], names).scores[names[0]]
            for name, of in (*places, (ALL_FOLDS, np.ones(len(data.target), dtype=np.bool_)))
        }
        return scores.pop(ALL_FOLDS), scores

    def _first(self, folds: int) -> list[table.Part]:
        """The first parts; their features do not depend on the settings."""
        for number in range(len(self._parts), min(folds, self.count)):
            self._parts.append(table.part_of(self._data, number, self._seed))
        return self._parts[:folds]

    def _session_of(self, params: Params) -> _RememberingSession:
        if self._session is None or self._session[0] != params:
            objective = table.objective_of(self._data, self._first(2), self._names[0], params)
            self._session = params, _RememberingSession(objective, params, Steps(_silent, 0), {})
        return self._session[1]


def _only(data: table.Data, parts: list[table.Part]) -> tuple[table.Data, list[table.Part]]:
    """The rows that these folds score, in their order."""
    kept = np.sort(np.concatenate([part.scored for part in parts]))
    rows = data.rows.iloc[kept].reset_index(drop=True)
    fewer = replace(data, rows=rows, target=data.target[kept], fold=data.fold[kept])
    return fewer, [replace(part, scored=np.searchsorted(kept, part.scored)) for part in parts]


def _silent(_name: str, _done: int, _total: int) -> None:
    """No progress: a fold is one step of a sweep."""
