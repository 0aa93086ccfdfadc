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
from lockgate.problem.metrics import bias, mae, rmspe, scored
from lockgate.reports import plots


@dataclass(frozen=True)
class Findings:
    """The evidence for the gate, and metrics for the record."""

    evidence: Evidence | NoEvidence
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Tables:
    """The rows before the holdout, which the seasonal naive forecast learns from, the holdout, and the stores."""

    rows: pd.DataFrame
    holdout: pd.DataFrame
    stores: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "Tables":
        """Read the tables of the prepare stage."""
        return cls(**{part: dataset.read(folder, part) for part in get_args(Part)})

    @property
    def without_sales(self) -> pd.DataFrame:
        """The holdout without sales."""
        return self.holdout.drop(columns=TARGET)


def examine(
    workspace: Workspace, candidate: Registered, serving: Registered | None, made: Build, earlier: int
) -> Findings:
    """Score the candidate on the holdout beside the serving version (None: without) and the seasonal naive forecast.

    Each version forecasts in a child process, so a failure of a version does not end this process. Writes the plot
    `made.holdout_plot` if there are finite forecasts. Raises IntegrityBroken if the bytes of either version differ from
    the registered ones. `earlier` is the number of other versions that were judged on the holdout.
    """
    made.holdout_plot.unlink(missing_ok=True)
    tables = Tables.read(made.prepared)
    try:
        with load_version.fetched(workspace, load_version.recorded(workspace, candidate.version)) as fetched:
            alone, folder = load_version.alone_places(tables.holdout), str(made.prepared.resolve())
            request = Request(str(fetched.bundle), fetched.digest, alone, folder)
            found = sandboxed.forecast(request, tables.without_sales, FORECAST_LIMITS)
    except ArtifactMissing as missing:
        return Findings(NoEvidence(str(missing)), {})
    if isinstance(found, Failure):
        return Findings(NoEvidence(found.reason), {})
    shown = np.isfinite(found.together)
    if shown.any():
        rows = tables.holdout[[TIME, TARGET]].assign(prediction=found.together)
        plots.holdout(rows[shown], made.holdout_plot)
    compared = _compared(workspace, serving, tables, found.together) if serving else None
    return _findings(tables, found, compared, Circumstances(fetched, earlier))


@dataclass(frozen=True)
class Circumstances:
    """Facts that need no forecast: the files of the version, and how many versions the holdout has judged before."""

    fetched: Fetched
    holdout_uses: int


def _findings(tables: Tables, found: Forecasts, serving: ServingComparison | None, known: Circumstances) -> Findings:
    holdout, forecast = tables.holdout, found.together
    sales = holdout[TARGET].to_numpy()
    low, high = paired_test.rmspe_interval(holdout, forecast)
    naive = seasonal_naive.seasonal_naive(tables.rows, holdout).to_numpy()
    linear = None if found.ridge is None else paired_test.compare(holdout, forecast, found.ridge)
    metrics = {
        "rmspe": rmspe(sales, forecast),
        "rmspe_low": low,
        "rmspe_high": high,
        "mae": mae(sales, forecast),
        "bias": bias(sales, forecast),
        "rmspe_naive": rmspe(sales, naive),
        "holdout_uses": float(known.holdout_uses),
    }
    if linear:
        metrics["rmspe_ridge"] = linear.reference_rmspe
    if serving and serving.paired_test.rows:
        metrics |= _against_serving(serving.paired_test)
    evidence = Evidence(
        rmspe=metrics["rmspe"],
        interval=(metrics["rmspe_low"], metrics["rmspe_high"]),
        baseline_rmspe=metrics["rmspe_naive"],
        scored_rows=int(scored(sales).sum()),
        serving=serving,
        linear=linear,
        holdout_uses=known.holdout_uses,
        holdout_from=holdout[TIME].min().date(),
        trained_until=found.origin,
        has_signature=known.fetched.has_signature,
        batch_gap=load_version.batch_gap(found, load_version.alone_places(holdout)),
        sanity=_sanity(forecast, forecast[scored(sales)]),
        leakage=found.leakage,
        uses_target_history=found.uses_target_history,
        tree_clean=known.fetched.tree_clean,
    )
    return Findings(evidence, metrics)


def _against_serving(found: PairedTest) -> dict[str, float]:
    low, high = found.difference.interval()
    return {"rmspe_serving": found.reference_rmspe, "over_serving_low": low, "over_serving_high": high}


def _sanity(forecast: Floats, on_scored_rows: Floats) -> ForecastSanity:
    return ForecastSanity(
        int((~np.isfinite(forecast)).sum()), int((forecast < 0).sum()), len(np.unique(on_scored_rows.round(6)))
    )


def _compared(workspace: Workspace, serving: Registered, tables: Tables, forecast: Floats) -> ServingComparison:
    """The paired test with the serving version, on the holdout rows that it can forecast."""
    with load_version.fetched(workspace, load_version.recorded(workspace, serving.version)) as fetched:
        theirs = sandboxed.forecast(Request(str(fetched.bundle), fetched.digest), tables.without_sales, FORECAST_LIMITS)
    rows = tables.holdout
    if isinstance(theirs, Failure):
        return ServingComparison(
            serving.version, fetched.digest, paired_test.compare(rows, forecast, np.full(len(rows), np.nan))
        )
    both = theirs.covered
    known = slices.with_attributes(rows, tables.stores, tables.rows)
    found = paired_test.compare(known[both], forecast[both], theirs.together[both], slices.IN_GATE)
    return ServingComparison(serving.version, fetched.digest, found)
