"""Scores a candidate for the gate: the candidate and the version in Production forecast the same holdout rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from lockgate.data import dataset
from lockgate.data.data_card import Part
from lockgate.errors import ArtifactMissing
from lockgate.evaluation import paired_test, sandboxed, slices
from lockgate.evaluation.paired_test import PairedTest
from lockgate.evaluation.sandboxed import FORECAST_LIMITS, Failure, Floats, Forecasts, Request
from lockgate.gate.evidence import Evidence, ForecastSanity, NoEvidence, ServingComparison
from lockgate.lifecycle.model_state import Registered
from lockgate.models import seasonal_naive
from lockgate.operations import load_version
from lockgate.operations.load_version import Fetched
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.columns import TARGET, TIME
from lockgate.problem.metrics import METRICS, Metric, bias
from lockgate.reports import plots


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
        return cls(**{part: dataset.read(folder, part) for part in get_args(Part)})

    @property
    def without_sales(self) -> pd.DataFrame:
        """The holdout without sales."""
        return self.holdout.drop(columns=TARGET)


def examine(workspace: Workspace, pair: VersionPair, made: Build, metric: Metric, earlier: int) -> Findings:
    """Score the candidate on the holdout beside the serving version (None: without) and the seasonal naive forecast.

    Each version forecasts in a child process, so a failure of a version does not end this process. Writes the plot
    `made.holdout_plot` if there are finite forecasts of scored rows. Raises IntegrityBroken if the bytes of either
    version differ from the registered ones. `earlier` is the number of other versions that were judged on the holdout.
    """
    made.holdout_plot.unlink(missing_ok=True)
    tables = Tables.read(made.prepared)
    try:
        with load_version.fetched(workspace, load_version.recorded(workspace, pair.candidate.version)) as fetched:
            alone, folder = load_version.alone_places(tables.holdout), str(made.prepared.resolve())
            request = Request(str(fetched.bundle), fetched.digest, alone, folder)
            found = sandboxed.forecast(request, tables.without_sales, FORECAST_LIMITS)
    except ArtifactMissing as missing:
        return Findings(NoEvidence(str(missing)), {})
    if isinstance(found, Failure):
        return Findings(NoEvidence(found.reason), {})
    shown = np.isfinite(found.together) & paired_test.scored_rows(metric, tables.holdout)
    if shown.any():
        rows = tables.holdout[[TIME, TARGET]].assign(prediction=found.together)
        plots.holdout(rows[shown], made.holdout_plot, metric)
    compared = _compared(workspace, pair.serving, tables, found.together, metric) if pair.serving else None
    return _findings(tables, found, compared, Circumstances(fetched, metric, earlier))


@dataclass(frozen=True)
class Circumstances:
    """Facts that need no forecast: the version's files, the metric, and how many versions the holdout has judged."""

    fetched: Fetched
    metric: Metric
    holdout_uses: int


def _findings(tables: Tables, found: Forecasts, serving: ServingComparison | None, known: Circumstances) -> Findings:
    holdout, metric = tables.holdout, known.metric
    counts = paired_test.scored_rows(metric, holdout)
    sales, forecast = holdout[TARGET].to_numpy(), found.together
    low, high = paired_test.interval(metric, holdout, forecast)
    naive = seasonal_naive.seasonal_naive(tables.rows, holdout).to_numpy()
    linear = None if found.ridge is None else paired_test.compare(metric, holdout, forecast, found.ridge)
    score, naive_score = (metric.score(sales[counts], each[counts]) for each in (forecast, naive))
    metrics = {
        "mae": METRICS["mae"].score(sales[counts], forecast[counts]),
        "bias": bias(sales[counts], forecast[counts]),
        metric.name: score,
        f"{metric.name}_low": low,
        f"{metric.name}_high": high,
        f"{metric.name}_naive": naive_score,
        "holdout_uses": float(known.holdout_uses),
    }
    if linear:
        metrics[f"{metric.name}_ridge"] = linear.reference_score
    if serving and serving.paired_test.rows:
        metrics |= _against_serving(serving.paired_test, metric)
    evidence = Evidence(
        score=score,
        interval=(low, high),
        baseline_score=naive_score,
        scored_rows=int(counts.sum()),
        serving=serving,
        linear=linear,
        holdout_uses=known.holdout_uses,
        holdout_from=holdout[TIME].min().date(),
        trained_until=found.origin,
        has_signature=known.fetched.has_signature,
        batch_gap=load_version.batch_gap(found, load_version.alone_places(holdout)),
        sanity=_sanity(forecast, forecast[counts]),
        leakage=found.leakage,
        uses_target_history=found.uses_target_history,
        tree_clean=known.fetched.tree_clean,
    )
    return Findings(evidence, metrics)


def _against_serving(found: PairedTest, metric: Metric) -> dict[str, float]:
    low, high = found.difference.interval()
    return {f"{metric.name}_serving": found.reference_score, "over_serving_low": low, "over_serving_high": high}


def _sanity(forecast: Floats, on_scored_rows: Floats) -> ForecastSanity:
    return ForecastSanity(
        int((~np.isfinite(forecast)).sum()), int((forecast < 0).sum()), len(np.unique(on_scored_rows.round(6)))
    )


def _compared(
    workspace: Workspace, serving: Registered, tables: Tables, forecast: Floats, metric: Metric
) -> ServingComparison:
    """The paired test with the serving version, on the holdout rows that it can forecast."""
    with load_version.fetched(workspace, load_version.recorded(workspace, serving.version)) as fetched:
        theirs = sandboxed.forecast(Request(str(fetched.bundle), fetched.digest), tables.without_sales, FORECAST_LIMITS)
    rows = tables.holdout
    if isinstance(theirs, Failure):
        return ServingComparison(
            serving.version, fetched.digest, paired_test.compare(metric, rows, forecast, np.full(len(rows), np.nan))
        )
    both = theirs.covered
    known = slices.with_attributes(rows, tables.static, tables.rows)
    found = paired_test.compare(metric, known[both], forecast[both], theirs.together[both], slices.IN_GATE)
    return ServingComparison(serving.version, fetched.digest, found)
