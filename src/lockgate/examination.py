"""What the gate judges by: a registered version and the serving one forecast the same rows of the holdout."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lockgate import plots, scoring, trial
from lockgate.backend import Backend
from lockgate.build import Build
from lockgate.data import prepared
from lockgate.errors import ArtifactMissing
from lockgate.forecast import baseline
from lockgate.gate import Evidence, NoEvidence, Numbers, Rival
from lockgate.lifecycle import Registered
from lockgate.metrics import bias, mae, rmspe, scored
from lockgate.scoring import Fetched
from lockgate.trial import LIMITS, Failure, Floats, Forecasts, Request

NOTHING = float("nan")


@dataclass(frozen=True)
class Findings:
    """What came out: the evidence for the gate, and metrics for the record."""

    evidence: Evidence | NoEvidence
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Tables:
    """The rows before the holdout, which the seasonal naive forecast learns from, and the holdout."""

    rows: pd.DataFrame
    holdout: pd.DataFrame

    @property
    def asked(self) -> pd.DataFrame:
        """The holdout as somebody who does not know the sales would ask for it."""
        return self.holdout.drop(columns="Sales")


def examine(backend: Backend, candidate: Registered, serving: Registered | None, made: Build) -> Findings:
    """Score the candidate on the holdout beside the serving version (None: without) and the seasonal naive forecast.

    Each forecasts in a child process, so that whatever it does, this one goes on and says so. Leaves a picture at
    `made.holdout_plot` if there is something to show. Raises IntegrityBroken if the bytes of either version are not
    those that were registered.
    """
    made.holdout_plot.unlink(missing_ok=True)
    tables = Tables(prepared.read(made.prepared, "rows"), prepared.read(made.prepared, "holdout"))
    try:
        with scoring.fetched(backend, candidate) as fetched:
            request = Request(str(fetched.bundle), fetched.digest, scoring.alone_places(tables.holdout))
            found = trial.hold(request, tables.asked, LIMITS)
    except ArtifactMissing as missing:
        return Findings(NoEvidence(str(missing)), {})
    if isinstance(found, Failure):
        return Findings(NoEvidence(found.says), {})
    shown = np.isfinite(found.together)
    if shown.any():
        rows = tables.holdout[["Date", "Sales"]].assign(prediction=found.together)
        plots.holdout(rows[shown], made.holdout_plot)
    rival = _rival(backend, serving, tables, found.together) if serving else None
    return _findings(tables, found, rival, fetched)


def _findings(tables: Tables, found: Forecasts, rival: Rival | None, fetched: Fetched) -> Findings:
    holdout, forecast = tables.holdout, found.together
    sales = holdout["Sales"].to_numpy()
    naive = baseline.seasonal_naive(tables.rows, holdout).to_numpy()
    metrics = {
        "rmspe": rmspe(sales, forecast),
        "mae": mae(sales, forecast),
        "bias": bias(sales, forecast),
        "rmspe_naive": rmspe(sales, naive),
    }
    if rival and rival.rows:
        metrics["rmspe_serving"] = rival.rmspe
    evidence = Evidence(
        rmspe=metrics["rmspe"],
        baseline_rmspe=metrics["rmspe_naive"],
        scored_rows=int(scored(sales).sum()),
        rival=rival,
        holdout_from=holdout["Date"].min().date(),
        trained_until=found.origin,
        has_signature=fetched.has_signature,
        batch_gap=scoring.batch_gap(found, scoring.alone_places(holdout)),
        numbers=_numbers(forecast, forecast[scored(sales)]),
        tree_clean=fetched.tree_clean,
    )
    return Findings(evidence, metrics)


def _numbers(forecast: Floats, on_scored_rows: Floats) -> Numbers:
    return Numbers(
        int((~np.isfinite(forecast)).sum()), int((forecast < 0).sum()), len(np.unique(on_scored_rows.round(6)))
    )


def _rival(backend: Backend, serving: Registered, tables: Tables, forecast: Floats) -> Rival:
    """The serving version on the holdout rows that it can forecast: it may not know the newest days or a new store."""
    with scoring.fetched(backend, serving) as fetched:
        theirs = trial.hold(Request(str(fetched.bundle), fetched.digest), tables.asked, LIMITS)
    sales = tables.holdout["Sales"].to_numpy()
    if isinstance(theirs, Failure):
        return Rival(serving.version, fetched.digest, NOTHING, rmspe(sales, forecast), int(scored(sales).sum()))
    sold, ours, those = sales[theirs.covered], forecast[theirs.covered], theirs.together[theirs.covered]
    return Rival(serving.version, fetched.digest, rmspe(sold, those), rmspe(sold, ours), int(scored(sold).sum()))
