"""Scores a candidate for the gate: the candidate and the version in Production forecast the same holdout rows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import dataset
from lockgate.data.data_card import read_card
from lockgate.data.rows_by_part import RowsByPart
from lockgate.engine import choice
from lockgate.engine.engine import Engine
from lockgate.errors import ArtifactMissing
from lockgate.evaluation import sandboxed, slices
from lockgate.evaluation.paired_test import Actual, PairedTest
from lockgate.evaluation.sandboxed import Failure, Floats, Forecasts, Request, forecast_limits
from lockgate.evaluation.slices import Background, Parts
from lockgate.gate.evidence import Evidence, ForecastSanity, HoldoutUse, NoEvidence, Representation, ServingComparison
from lockgate.lifecycle.model_state import Registered
from lockgate.models import baselines
from lockgate.models.baselines import Scales
from lockgate.operations import load_version
from lockgate.operations.load_version import Fetched
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.confidence import DEFAULT
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS, Metric, bias
from lockgate.problem.params import EngineParams
from lockgate.problem.target_values import class_texts, forecast_range
from lockgate.reports import holdout_plot
from lockgate.reports.explained_cases import ExplainedCase
from lockgate.reports.holdout_plot import Scored
from lockgate.reports.holdout_review import Judged, Production, SliceChange, SliceScore

Moment = date | int

CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9)  # of the bounds whose coverage is measured, beside the usual confidence
FEWEST_ROWS = 30  # of a slice whose score is shown


@dataclass(frozen=True)
class Findings:
    """The evidence for the gate, metrics for the record, and the data of the plots (None without forecasts)."""

    evidence: Evidence | NoEvidence
    metrics: Mapping[str, float]
    judged: Judged | None = None


@dataclass(frozen=True)
class VersionPair:
    """The candidate, and the version that it is compared with (None: there is none)."""

    candidate: Registered
    serving: Registered | None


@dataclass(frozen=True)
class Tables:
    """The training rows by part, which the baseline learns from, the holdout, and the static features."""

    rows: RowsByPart
    holdout: pd.DataFrame
    static: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Tables":
        """Read the tables of the prepare stage."""
        return cls(dataset.by_part(folder, "rows"), dataset.read(folder, "holdout"), dataset.read(folder, "static"))

    def inputs(self, problem: Problem) -> pd.DataFrame:
        """The holdout without its target."""
        return self.holdout.drop(columns=problem.target)


def examine(  # noqa: PLR0913 - what is judged, on which data, and where
    workspace: Workspace, pair: VersionPair, made: Build, problem: Problem, use: HoldoutUse, engine: EngineParams
) -> Findings:  # fmt: skip
    """Score the candidate on the holdout beside the serving version (None: without) and the baseline.

    Each version forecasts in a child process, so a failure of a version does not end this process. On a cluster, both
    do at the same time, and the child is one of a worker. Raises IntegrityBroken if the bytes of either version differ
    from the registered ones. `use` is what the holdout has judged before.
    """
    tables = Tables.read(made.prepared)
    with ExitStack() as opened:
        try:
            fetched = opened.enter_context(_fetched(workspace, pair.candidate))
        except ArtifactMissing as missing:
            return Findings(NoEvidence(str(missing)), {})
        serving = opened.enter_context(_fetched(workspace, pair.serving)) if pair.serving else None
        place = opened.enter_context(choice.here(engine, workspace.timeout))
        found, *theirs = _forecasts(place, fetched, serving, made.prepared, tables.inputs(problem))
    if isinstance(found, Failure):
        return Findings(NoEvidence(found.reason), {})
    known = Circumstances.of(problem, fetched, tables, found.classes, use, read_card(made.prepared)["rows"]["digest"])
    return findings_of(tables, found, (serving, theirs[0]) if serving else None, known)


def findings_of(
    tables: Tables, found: Forecasts, serving: tuple[Fetched, Forecasts | Failure] | None, known: "Circumstances"
) -> Findings:
    """The findings from the forecasts of the candidate and of the serving version (None: there is none)."""
    compared = _compared(*serving, tables, found.together, known) if serving else None
    findings = _findings(tables, found, compared.comparison if compared else None, known)
    return replace(findings, judged=_judged(tables, found, compared, known))


def _fetched(workspace: Workspace, version: Registered) -> AbstractContextManager[Fetched]:
    return load_version.fetched(workspace, load_version.recorded(workspace, version.version))


def _forecasts(
    engine: Engine, candidate: Fetched, serving: Fetched | None, prepared: Path, inputs: pd.DataFrame
) -> list[Forecasts | Failure]:
    """The forecasts of the candidate, and of the serving version if there is one."""
    alone, folder = load_version.alone_places(inputs), str(prepared.resolve())
    requests = [Request(str(candidate.bundle), candidate.digest, alone, folder, CONFIDENCES)]
    requests += [Request(str(serving.bundle), serving.digest)] if serving else []
    limits = forecast_limits(len(inputs), int(read_card(prepared)["rows"]["count"]))
    sent = [sandboxed.sent(request, limits) for request in requests]
    return engine.map(sandboxed.forecast_sent, sent, "score a version", shared=(engine.scatter(inputs),))


def _finite(forecast: Floats) -> NDArray[np.bool_]:
    """The rows with a finite forecast."""
    finite = np.isfinite(forecast).reshape(len(forecast), -1).all(axis=1)
    return np.asarray(finite, dtype=np.bool_)


def _judged(
    tables: Tables, found: Forecasts, compared: "Compared | None", known: "Circumstances"
) -> Judged | None:  # fmt: skip
    """The data of the plots: the scored rows with a finite forecast; None if there are none."""
    problem, actual = known.problem, known.actual
    shown = np.logical_and(_finite(found.together), actual.counts)
    if not shown.any():
        return None
    counted = actual.rows.where(shown[actual.counts])
    of_rows = (tables.holdout[shown], counted.actual, found.together[shown], found.bounds[shown])
    scored = Scored(problem, actual.metric, *of_rows, found.classes, counted.unit)
    if problem.kind == "panel" and problem.task == "regression":
        scored = replace(scored, past=holdout_plot.past_of(scored, tables.rows))
    theirs = None if compared is None else compared.forecast[shown]
    parts = [(part.name, chosen[shown]) for part, chosen in known.parts]
    return Judged(
        scored,
        tuple(_slice_scores(scored, theirs, parts)),
        tuple(_coverage(scored, found.more_bounds[:, shown])),
        None if compared is None or theirs is None else Production(compared.version, theirs, compared.changes),
        tuple(ExplainedCase(**case) for case in found.explained),
        found.unexplained,
    )


def _slice_scores(
    scored: Scored, theirs: Floats | None, parts: Sequence[tuple[str, NDArray[np.bool_]]]
) -> Iterator[SliceScore]:  # fmt: skip
    """The score on each slice with enough rows, and that of Production where it forecasts all of them."""
    other = None if theirs is None else replace(scored, forecast=theirs)
    for name, chosen in parts:
        if (rows := int(chosen.sum())) >= FEWEST_ROWS:
            production = other.where(chosen).score if other else float("nan")
            yield SliceScore(name, rows, scored.where(chosen).score, production)


def _coverage(scored: Scored, more_bounds: Floats) -> Iterator[tuple[float, float]]:
    """The stated confidence, and the share of targets within the bounds, where all bounds are known."""
    for confidence, bounds in zip((*CONFIDENCES, DEFAULT), (*more_bounds, scored.bounds), strict=True):
        of = replace(scored, bounds=bounds)
        if of.has_bounds:
            yield confidence, float(of.inside.mean())


@dataclass(frozen=True)
class Compared:
    """The version in Production: the paired test, and its forecasts of the holdout (NaN for those that it has not)."""

    comparison: ServingComparison
    forecast: Floats

    @property
    def version(self) -> int:
        """Its number."""
        return self.comparison.version

    @property
    def changes(self) -> tuple[SliceChange, ...]:
        """How much worse the candidate is on each tested slice; the intervals of all slices hold at once."""
        test = self.comparison.paired_test
        return tuple(SliceChange(part.name, part.difference.value, *test.interval(part)) for part in test.slices)


@dataclass(frozen=True)
class Circumstances:
    """The version's files, the problem, the holdout as its metric counts it, its slices, and what it has judged."""

    fetched: Fetched
    problem: Problem
    actual: Actual
    scales: Scales | None  # of the keys, where the metric is MASE
    parts: Parts
    holdout_use: HoldoutUse
    rows_digest: str  # of the prepared training rows

    @classmethod
    def of(  # noqa: PLR0913 - all that the forecasts are judged by
        cls, problem: Problem, fetched: Fetched, tables: Tables, classes: Sequence[str], use: HoldoutUse, digest: str
    ) -> "Circumstances":
        """From the tables; `classes` are those of the forecasts, `digest` is that of the training rows."""
        metric = METRICS[problem.metric]
        scales = Scales.of(problem, tables.rows) if metric.needs_scale else None
        actual = Actual.of(problem, metric, tables.holdout, classes, scales)
        parts = slices.parts(problem, tables.holdout, _background(tables, problem))
        return cls(fetched, problem, actual, scales, parts, use, digest)


def _findings(tables: Tables, found: Forecasts, serving: ServingComparison | None, known: Circumstances) -> Findings:
    holdout, problem, actual = tables.holdout, known.problem, known.actual
    metric, forecast = actual.metric, found.together
    low, high = actual.interval(forecast)
    naive = baselines.baseline(problem, tables.rows, holdout, found.classes)
    linear = None if found.linear is None else actual.compare(forecast, found.linear)
    score, naive_score = actual.score(forecast), actual.score(naive)
    metrics = {
        **_usual_errors(problem, actual, forecast),
        metric.name: score,
        f"{metric.name}_low": low,
        f"{metric.name}_high": high,
        f"{metric.name}_naive": naive_score,
        "holdout_uses": float(known.holdout_use.versions),
        "holdout_days": float(known.holdout_use.days),
    }
    if linear:
        metrics[f"{metric.name}_linear"] = linear.reference_score
    if serving and serving.paired_test.rows:
        metrics |= _against_serving(serving.paired_test, metric)
    evidence = Evidence(
        score=score,
        interval=(low, high),
        baseline_score=naive_score,
        scored_rows=int(actual.counts.sum()),
        serving=serving,
        linear=linear,
        holdout_use=known.holdout_use,
        holdout_from=_holdout_from(problem, holdout),
        trained_until=None if found.trained_until is None else _moment(problem, found.trained_until),
        learned_rows=None if known.fetched.rows_digest is None else known.fetched.rows_digest == known.rows_digest,
        has_signature=known.fetched.has_signature,
        batch_gap=load_version.batch_gap(found, load_version.alone_places(holdout)),
        sanity=_sanity(problem, forecast, forecast[actual.counts]),
        leakage=found.leakage,
        uses_target_history=found.uses_target_history,
        tree_clean=known.fetched.tree_clean,
        baseline=baselines.words_of(problem),
        representation=_representation(tables, known, found.classes),
    )
    return Findings(evidence, metrics)


def _usual_errors(problem: Problem, actual: Actual, forecast: Floats) -> dict[str, float]:
    """Metrics for the record beside that of the gate."""
    target, counted = actual.rows.actual, forecast[actual.counts]
    if problem.task == "regression":
        return {"mae": METRICS["mae"].score(target, counted), "bias": bias(target, counted)}
    names = ("roc_auc", "pr_auc", "log_loss", "brier") if problem.task == "binary" else ("log_loss", "accuracy")
    return {name: METRICS[name].score(target, counted) for name in names}


def _holdout_from(problem: Problem, holdout: pd.DataFrame) -> Moment | None:
    """The first period of the holdout, if the holdout is the end of the time."""
    if problem.holdout.by != "time":
        return None
    return _moment(problem, int(problem.period.number(holdout[problem.time_name].to_numpy()).min()))


def _moment(problem: Problem, number: int) -> Moment:
    """A period as a date, as a time for hours, or as a whole number."""
    start: Any = problem.period.start(np.array([number]))[0].item()
    return start if problem.period.is_integer or problem.period.name == "hour" else start.date()  # type: ignore[no-any-return]


def _representation(tables: Tables, known: Circumstances, classes: Sequence[str]) -> Representation:
    """The keys of a panel, and the classes, of the training rows in the scored holdout rows."""
    problem, counts = known.problem, known.actual.counts
    keys = scored = 0
    if problem.kind == "panel" and problem.keys:
        names = list(problem.keys)
        every = pd.concat([part[names].drop_duplicates() for part in tables.rows])
        keys, scored = len(every), len(every.merge(tables.holdout.loc[counts, names].drop_duplicates(), on=names))
    if problem.task == "regression":
        return Representation(keys, scored)
    held = set(class_texts(tables.holdout[problem.target].dropna()))
    return Representation(
        keys, scored, tuple(sorted(set(classes) - held)), tuple(sorted(held - set(classes)) if classes else ())
    )


def _against_serving(found: PairedTest, metric: Metric) -> dict[str, float]:
    low, high = found.difference.interval()
    return {f"{metric.name}_serving": found.reference_score, "over_serving_low": low, "over_serving_high": high}


def _sanity(problem: Problem, forecast: Floats, on_scored_rows: Floats) -> ForecastSanity:
    lowest, highest = forecast_range(problem)
    outside = (forecast < lowest) | (forecast > highest)
    different = len(np.unique(on_scored_rows.round(6), axis=0))
    return ForecastSanity(int((~_finite(forecast)).sum()), int(outside.sum()), different)


def _compared(
    serving: Fetched, theirs: Forecasts | Failure, tables: Tables, forecast: Floats, known: Circumstances
) -> Compared:
    """The paired test with the serving version, on the holdout rows that it can forecast."""
    problem, rows = known.problem, tables.holdout
    if isinstance(theirs, Failure) or theirs.together.shape != forecast.shape:
        nothing = np.full(forecast.shape, np.nan)
        unknown = known.actual.compare(forecast, nothing)
        return Compared(ServingComparison(serving.version, serving.digest, unknown), nothing)
    both = theirs.covered
    parts = tuple((part, chosen[both]) for part, chosen in known.parts)
    actual = Actual.of(problem, known.actual.metric, rows[both], theirs.classes, known.scales)
    found = actual.compare(forecast[both], theirs.together[both], parts)
    return Compared(ServingComparison(serving.version, serving.digest, found), theirs.together)


def _background(tables: Tables, problem: Problem) -> Background:
    """What slices need beside the holdout; the cutoff is the period before the holdout."""
    cutoff = None
    if problem.kind == "panel":
        cutoff = int(problem.period.number(tables.holdout[problem.time_name].to_numpy()).min()) - 1
    return Background(tables.static, tables.rows, cutoff)
