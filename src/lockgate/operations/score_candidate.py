"""Scores a candidate for the gate: the candidate and the version in Production forecast the same holdout rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import dataset
from lockgate.data.data_card import Part, read_card
from lockgate.errors import ArtifactMissing
from lockgate.evaluation import sandboxed, slices
from lockgate.evaluation.paired_test import Actual, PairedTest
from lockgate.evaluation.sandboxed import FORECAST_LIMITS, Failure, Floats, Forecasts, Request
from lockgate.evaluation.slices import Background
from lockgate.gate.evidence import Evidence, ForecastSanity, HoldoutUse, NoEvidence, Representation, ServingComparison
from lockgate.lifecycle.model_state import Registered
from lockgate.models import baselines
from lockgate.operations import load_version
from lockgate.operations.load_version import Fetched
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.columns import Decimal, Whole
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS, Metric, bias
from lockgate.problem.target_values import class_texts, outside_where
from lockgate.reports import holdout_plot
from lockgate.reports.holdout_plot import Scored

Moment = date | int


@dataclass(frozen=True)
class Findings:
    """The evidence for the gate, and metrics for the record."""

    evidence: Evidence | NoEvidence
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class VersionPair:
    """The candidate, and the version that it is compared with (None: there is none)."""

    candidate: Registered
    serving: Registered | None


@dataclass(frozen=True)
class Tables:
    """The training rows, which the baseline learns from, the holdout, and the static features."""

    rows: pd.DataFrame
    holdout: pd.DataFrame
    static: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Tables":
        """Read the tables of the prepare stage."""
        return cls(*(dataset.read(folder, part) for part in get_args(Part)))

    def inputs(self, problem: Problem) -> pd.DataFrame:
        """The holdout without its target."""
        return self.holdout.drop(columns=problem.target)


def examine(workspace: Workspace, pair: VersionPair, made: Build, problem: Problem, use: HoldoutUse) -> Findings:
    """Score the candidate on the holdout beside the serving version (None: without) and the baseline.

    Each version forecasts in a child process, so a failure of a version does not end this process. Writes the plot
    `made.holdout_plot` if there are finite forecasts of scored rows. Raises IntegrityBroken if the bytes of either
    version differ from the registered ones. `use` is what the holdout has judged before.
    """
    made.holdout_plot.unlink(missing_ok=True)
    tables = Tables.read(made.prepared)
    try:
        with load_version.fetched(workspace, load_version.recorded(workspace, pair.candidate.version)) as fetched:
            alone, folder = load_version.alone_places(tables.holdout), str(made.prepared.resolve())
            request = Request(str(fetched.bundle), fetched.digest, alone, folder)
            found = sandboxed.forecast(request, tables.inputs(problem), FORECAST_LIMITS)
    except ArtifactMissing as missing:
        return Findings(NoEvidence(str(missing)), {})
    if isinstance(found, Failure):
        return Findings(NoEvidence(found.reason), {})
    metric = METRICS[problem.metric]
    actual = Actual.of(problem, metric, tables.holdout, found.classes, tables.rows)
    known = Circumstances(fetched, problem, actual, use, read_card(made.prepared)["rows"]["digest"])
    shown = np.logical_and(_finite(found.together), actual.counts)
    if shown.any():
        _draw(tables, found, shown, known, made.holdout_plot)
    compared = _compared(workspace, pair.serving, tables, found.together, known) if pair.serving else None
    return _findings(tables, found, compared, known)


def _finite(forecast: Floats) -> NDArray[np.bool_]:
    """The rows with a finite forecast."""
    finite = np.isfinite(forecast).reshape(len(forecast), -1).all(axis=1)
    return np.asarray(finite, dtype=np.bool_)


def _draw(tables: Tables, found: Forecasts, shown: NDArray[np.bool_], known: "Circumstances", path: Path) -> None:
    problem, actual = known.problem, known.actual
    values = actual.rows.actual[shown[actual.counts]]
    before = tables.rows[~outside_where(problem, tables.rows)]
    of_rows = (tables.holdout[shown], values, found.together[shown], found.bounds[shown])
    holdout_plot.draw(Scored(problem, actual.metric, *of_rows, found.classes, before), path)


@dataclass(frozen=True)
class Circumstances:
    """The version's files, the problem, the holdout as its metric counts it, and what it has judged before."""

    fetched: Fetched
    problem: Problem
    actual: Actual
    holdout_use: HoldoutUse
    rows_digest: str  # of the prepared training rows


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
        every = tables.rows[names].drop_duplicates()
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
    kind = problem.column(problem.target).kind
    above_zero = problem.task != "regression" or (isinstance(kind, Whole | Decimal) and kind.low >= 0)
    outside = (forecast < 0) & above_zero | (forecast > 1) & (problem.task != "regression")
    different = len(np.unique(on_scored_rows.round(6), axis=0))
    return ForecastSanity(int((~_finite(forecast)).sum()), int(outside.sum()), different)


def _compared(
    workspace: Workspace, serving: Registered, tables: Tables, forecast: Floats, known: Circumstances
) -> ServingComparison:
    """The paired test with the serving version, on the holdout rows that it can forecast."""
    problem, rows = known.problem, tables.holdout
    with load_version.fetched(workspace, load_version.recorded(workspace, serving.version)) as fetched:
        request = Request(str(fetched.bundle), fetched.digest)
        theirs = sandboxed.forecast(request, tables.inputs(problem), FORECAST_LIMITS)
    if isinstance(theirs, Failure) or theirs.together.shape != forecast.shape:
        unknown = known.actual.compare(forecast, np.full(forecast.shape, np.nan))
        return ServingComparison(serving.version, fetched.digest, unknown)
    both = theirs.covered
    parts = tuple((part, chosen[both]) for part, chosen in slices.parts(problem, rows, _background(tables, problem)))
    actual = Actual.of(problem, known.actual.metric, rows[both], theirs.classes, tables.rows)
    found = actual.compare(forecast[both], theirs.together[both], parts)
    return ServingComparison(serving.version, fetched.digest, found)


def _background(tables: Tables, problem: Problem) -> Background:
    """What slices need beside the holdout; the cutoff is the period before the holdout."""
    cutoff = None
    if problem.kind == "panel":
        cutoff = int(problem.period.number(tables.holdout[problem.time_name].to_numpy()).min()) - 1
    return Background(tables.static, tables.rows, cutoff)
