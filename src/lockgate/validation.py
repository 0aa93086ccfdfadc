"""The validate stage: the registered and the serving version forecast the same rows, and the gate judges."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lockgate import gate, lifecycle, lineage, plots, policies, scoring, verdicts
from lockgate.backend import Backend
from lockgate.data import prepared
from lockgate.forecast import baseline
from lockgate.gate import Evidence, Judgement, Outcome, Rival
from lockgate.lifecycle import Registered, Roster
from lockgate.metrics import bias, mae, rmspe, scored
from lockgate.params import GateParams
from lockgate.registration import Build, Receipt
from lockgate.scoring import Opened
from lockgate.verdicts import Digests, StoredVerdict, Verdict

HOLDOUT_PLOT = Path("plots", "holdout.png")


@dataclass(frozen=True)
class Case:
    """What a verdict is bound to: a version and its bundle, the holdout, the policy, and the serving version."""

    receipt: Receipt
    holdout_digest: str
    policy: GateParams
    serving: Registered | None

    @property
    def digests(self) -> Digests:
        """The same as digests."""
        serving_digest = self.serving.bundle_digest if self.serving else None
        policy_digest = gate.policy_digest(self.policy)
        return Digests(self.receipt.bundle_digest, self.holdout_digest, policy_digest, serving_digest)

    @property
    def rival(self) -> Registered | None:
        """The version that the candidate must hold against: the one that serves, unless that is the candidate."""
        return None if self.serving is None or self.serving.version == self.receipt.version else self.serving


@dataclass(frozen=True)
class Scores:
    """What came out of scoring a candidate."""

    evidence: Evidence
    metrics: Mapping[str, float]
    forecast: pd.DataFrame


def validate(backend: Backend, receipt: Receipt, made: Build, policy: GateParams) -> StoredVerdict:
    """Judge the version on the receipt and move it to Staging if it passed and has not been further.

    The policy is in force from here on. The verdict on the same bundle, holdout, policy and serving version is found
    again in Postgres, without scoring, until it expires.
    """
    roster = backend.roster()
    roster.find(receipt.version)
    policies.put_in_force(backend.database, backend.model, policy, backend.actor)
    holdout_digest = prepared.read_card(made.prepared)["holdout"]["digest"]
    case = Case(receipt, holdout_digest, policy, roster.serving())
    verdict = _found_again(backend, case) or _judge(backend, case, roster, made)
    if verdicts.shown_verdict(backend.database, backend.model, receipt.version) != verdict.id:
        _show_in_mlflow(backend, verdict, receipt, made)
    if verdict.outcome == Outcome.PASSED:
        _move_to_staging(backend, verdict)
    return verdict


def _found_again(backend: Backend, case: Case) -> StoredVerdict | None:
    """The earlier verdict on the same case. If another one came in between, it is said again: the newest counts."""
    found = verdicts.find_verdict(backend.database, backend.model, case.digests, case.policy.verdict_valid_days)
    if found is None:
        return None
    latest = verdicts.latest_verdict(backend.database, backend.model, case.receipt.version)
    if latest is not None and latest.id == found.id:
        return found
    again = {each.name: getattr(found, each.name) for each in fields(Verdict)} | {"actor": backend.actor}
    return verdicts.record_verdict(backend.database, Verdict(**again))


def _judge(backend: Backend, case: Case, roster: Roster, made: Build) -> StoredVerdict:
    holdout = prepared.read(made.prepared, "holdout")
    with scoring.opened(backend, roster.find(case.receipt.version)) as candidate:
        scores = _scores(backend, case, candidate, holdout, prepared.read(made.prepared, "rows"))
    plots.holdout(scores.forecast, made.build / HOLDOUT_PLOT)
    judgement = gate.judge(scores.evidence, case.policy)
    return verdicts.record_verdict(backend.database, _as_verdict(backend, case, judgement, scores.metrics))


def _scores(backend: Backend, case: Case, candidate: Opened, holdout: pd.DataFrame, rows: pd.DataFrame) -> Scores:
    sales = holdout["Sales"].to_numpy()
    forecast = candidate.forecaster.predict(holdout)
    naive = baseline.seasonal_naive(rows, holdout).to_numpy()
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
        rival=_rival(backend, case.rival, holdout, forecast) if case.rival else None,
        holdout_from=holdout["Date"].min().date(),
        trained_until=candidate.forecaster.origin,
        has_signature=candidate.has_signature,
        batch_gap=scoring.batch_gap(candidate.forecaster, holdout, forecast),
    )
    if evidence.rival and evidence.rival.rows:
        metrics["rmspe_serving"] = evidence.rival.rmspe
    return Scores(evidence, metrics, holdout[["Date", "Sales"]].assign(prediction=forecast))


def _rival(backend: Backend, serving: Registered, holdout: pd.DataFrame, forecast: scoring.Floats) -> Rival:
    """The serving version on the holdout rows that it can forecast: it may not know the newest days or a new store."""
    with scoring.opened(backend, serving) as rival:
        covered = np.ones(len(holdout), dtype=bool)
        covered[[problem.row for problem in rival.forecaster.problems(holdout)]] = False
        rows = holdout[covered]
        theirs = rival.forecaster.predict(rows) if len(rows) else np.empty(0)
    sales = rows["Sales"].to_numpy()
    return Rival(
        serving.version, rival.digest, rmspe(sales, theirs), rmspe(sales, forecast[covered]), int(scored(sales).sum())
    )


def _as_verdict(backend: Backend, case: Case, judgement: Judgement, metrics: Mapping[str, float]) -> Verdict:
    return Verdict(
        model=backend.model,
        version=case.receipt.version,
        digests=case.digests,
        outcome=judgement.outcome,
        checks=judgement.as_json(),
        metrics=metrics,
        code_commit=lineage.git_commit(Path.cwd()),
        actor=backend.actor,
    )


def _show_in_mlflow(backend: Backend, verdict: StoredVerdict, receipt: Receipt, made: Build) -> None:
    """The verdict on the run and on the version's page; the version's tag comes last and says that it was shown."""
    registry = backend.registry()
    finite = {f"holdout.{name}": value for name, value in verdict.metrics.items() if np.isfinite(value)}
    pictures = [path for path in [made.build / HOLDOUT_PLOT] if path.is_file()]
    registry.log_verdict(receipt.run_id, finite, as_json(verdict), pictures)
    registry.tag_version(
        receipt.version, {"verdict": verdict.outcome, "verdict_id": str(verdict.id)}, described(verdict)
    )


def as_json(verdict: StoredVerdict) -> dict[str, Any]:
    """The verdict as plain values, as verdict.json holds it; `decided_at` is the database's time."""
    return asdict(verdict) | {"decided_at": verdict.decided_at.isoformat()}


def described(verdict: StoredVerdict) -> str:
    """The verdict as a Markdown text for reviewers."""
    lines = [f"- **{check['outcome']}** {check['name']}: {check['says']}" for check in verdict.checks]
    heading = f"Verdict {verdict.id} on version {verdict.version}: **{verdict.outcome.upper()}**"
    return "\n".join([heading, "", *lines, ""])


def told(verdict: StoredVerdict) -> str:
    """The verdict for a terminal: the outcome first and loud, then each check."""
    lines = [f"  {check['outcome']:<13}{check['name']}: {check['says']}" for check in verdict.checks]
    return "\n".join([f"{verdict.outcome.upper()}: version {verdict.version} of {verdict.model}", *lines])


def _move_to_staging(backend: Backend, verdict: StoredVerdict) -> None:
    if lifecycle.staging(backend.roster(), verdict.version) is None:
        return
    with backend.database.lock(backend.model, wait=backend.timeout):
        move = lifecycle.staging(backend.roster(), verdict.version)
        if move is not None:
            backend.carry_out(move, f"verdict {verdict.id} passed")
