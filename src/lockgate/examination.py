"""What the gate judges by: a registered version and the serving one forecast the same rows of the holdout."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate import plots, scoring
from lockgate.backend import Backend
from lockgate.build import Build
from lockgate.data import prepared
from lockgate.forecast import baseline
from lockgate.forecast.answering import Answering
from lockgate.gate import Evidence, Rival
from lockgate.lifecycle import Registered
from lockgate.metrics import bias, mae, rmspe, scored
from lockgate.scoring import Floats, Opened


@dataclass(frozen=True)
class Findings:
    """What came out: the evidence for the gate, metrics for the record, and the forecasts beside the sales."""

    evidence: Evidence
    metrics: Mapping[str, float]
    forecast: pd.DataFrame


@dataclass(frozen=True)
class Tables:
    """The rows before the holdout, which the seasonal naive forecast learns from, and the holdout."""

    rows: pd.DataFrame
    holdout: pd.DataFrame


def examine(backend: Backend, candidate: Registered, serving: Registered | None, made: Build) -> Findings:
    """Score the candidate on the holdout beside the serving version (None: without) and the seasonal naive forecast.

    Leaves a picture at `made.holdout_plot`. Raises IntegrityBroken if the bytes of either version are not those that
    were registered.
    """
    tables = Tables(prepared.read(made.prepared, "rows"), prepared.read(made.prepared, "holdout"))
    with scoring.opened(backend, candidate) as opened:
        found = _findings(backend, opened, serving, tables)
    plots.holdout(found.forecast, made.holdout_plot)
    return found


def _findings(backend: Backend, candidate: Opened, serving: Registered | None, tables: Tables) -> Findings:
    holdout = tables.holdout
    sales = holdout["Sales"].to_numpy()
    covered = _covered(candidate.forecaster, holdout)
    forecast = np.full(len(holdout), np.nan)
    forecast[covered] = candidate.forecaster.predict(holdout[covered])
    naive = baseline.seasonal_naive(tables.rows, holdout).to_numpy()
    metrics = {
        "rmspe": rmspe(sales, forecast),
        "mae": mae(sales, forecast),
        "bias": bias(sales, forecast),
        "rmspe_naive": rmspe(sales, naive),
    }
    evidence = Evidence(
        rmspe=metrics["rmspe"],
        baseline_rmspe=metrics["rmspe_naive"],
        scored_rows=int(scored(sales).sum()),
        rival=_rival(backend, serving, holdout, forecast) if serving else None,
        holdout_from=holdout["Date"].min().date(),
        trained_until=candidate.forecaster.origin,
        has_signature=candidate.has_signature,
        batch_gap=scoring.batch_gap(candidate.forecaster, holdout[covered], forecast[covered]),
    )
    if evidence.rival and evidence.rival.rows:
        metrics["rmspe_serving"] = evidence.rival.rmspe
    return Findings(evidence, metrics, holdout[["Date", "Sales"]].assign(prediction=forecast))


def _covered(forecaster: Answering, rows: pd.DataFrame) -> NDArray[np.bool_]:
    """The rows that it may be asked for: their days may be too late for it, or days that it has learned from."""
    covered = np.ones(len(rows), dtype=np.bool_)
    covered[[problem.row for problem in forecaster.problems(rows)]] = False
    return covered


def _rival(backend: Backend, serving: Registered, holdout: pd.DataFrame, forecast: Floats) -> Rival:
    """The serving version on the holdout rows that it can forecast: it may not know the newest days or a new store."""
    with scoring.opened(backend, serving) as rival:
        covered = _covered(rival.forecaster, holdout)
        rows = holdout[covered]
        theirs = rival.forecaster.predict(rows) if len(rows) else np.empty(0)
    sales = rows["Sales"].to_numpy()
    return Rival(
        serving.version, rival.digest, rmspe(sales, theirs), rmspe(sales, forecast[covered]), int(scored(sales).sum())
    )
