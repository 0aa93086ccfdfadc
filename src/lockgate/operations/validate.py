"""The validate stage: the gate judges the registered version, and a passed one goes to Staging."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lockgate.data.data_card import noise_floor, read_card
from lockgate.database import policies, verdicts, versions
from lockgate.database.verdicts import Digests, StoredVerdict, Verdict
from lockgate.errors import StateConflict
from lockgate.gate import verdict
from lockgate.gate.evidence import Outcome
from lockgate.gate.verdict import Judgement
from lockgate.lifecycle import moves
from lockgate.lifecycle.moves import ModelState, Registered
from lockgate.operations import lineage
from lockgate.operations.stage_files import Build, Receipt
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import GateParams


@dataclass(frozen=True)
class Case:
    """What a verdict is bound to: a version and its bundle, the holdout, the policy, and the serving version."""

    receipt: Receipt
    holdout_digest: str
    policy: GateParams
    serving: Registered | None

    @property
    def candidate_serves(self) -> bool:
        """Whether the candidate is in Production already."""
        return self.serving is not None and self.serving.version == self.receipt.version

    @property
    def digests(self) -> Digests:
        """The same as digests."""
        serving_digest = self.reference.bundle_digest if self.reference else None
        policy_digest = verdict.policy_digest(self.policy)
        return Digests(self.receipt.bundle_digest, self.holdout_digest, policy_digest, serving_digest)

    @property
    def reference(self) -> Registered | None:
        """The version that the candidate is compared with: the serving version, unless that is the candidate."""
        return None if self.candidate_serves else self.serving


def validate(backend: Workspace, receipt: Receipt, made: Build, policy: GateParams) -> StoredVerdict:
    """Judge the version on the receipt and move it to Staging if it passed and has not been further.

    The policy is in force from here on. The verdict on the same bundle, holdout, policy and serving version is reused
    from Postgres, without scoring, until it expires; an inconclusive one is judged anew each time.
    """
    roster = backend.state()
    roster.find(receipt.version)
    policies.put_in_force(backend.database, backend.model, policy, backend.actor)
    holdout_digest = read_card(made.prepared)["holdout"]["digest"]
    case = Case(receipt, holdout_digest, policy, roster.serving())
    found = _found_again(backend, case) or _judge(backend, case, roster, made)
    if verdicts.shown_verdict(backend.database, backend.model, receipt.version) != found.id:
        _show_in_mlflow(backend, found, receipt, made)
    if found.outcome == Outcome.PASSED:
        _move_to_staging(backend, found)
    return found


def validate_registered(backend: Workspace, version: int | None, prepared: Path, policy: GateParams) -> StoredVerdict:
    """Judge a version that is registered already (by default the newest in None) on the prepared tables.

    Raises StateConflict if there is none, if it is past Staging, or if it did not come in through Lockgate.
    """
    candidate = moves.candidate_for_validation(backend.state(), version)
    known = versions.recorded_version(backend.database, backend.model, candidate.version)
    if known is None:
        raise StateConflict(
            f"version {candidate.version} of {backend.model} did not come in through Lockgate",
            hint="download its files and bring them in: lockgate register PATH",
        )
    receipt = Receipt(backend.model, known.version, known.run_id, known.bundle_digest)
    with TemporaryDirectory(prefix="lockgate-") as folder:
        return validate(backend, receipt, Build(prepared, Path(folder)), policy)


def _found_again(backend: Workspace, case: Case) -> StoredVerdict | None:
    """Reuse an unexpired verdict on the same inputs; record it again after a newer one, since the newest decides.

    For a version in Production, the comparison that brought it there stays valid.
    """
    latest = verdicts.latest_verdict(backend.database, backend.model, case.receipt.version)
    digests = case.digests
    if latest is not None and case.candidate_serves:
        digests = replace(digests, serving_digest=latest.digests.serving_digest)
    found = verdicts.find_verdict(backend.database, backend.model, digests, case.policy.verdict_valid_days)
    if found is None or found.outcome == Outcome.INCONCLUSIVE:
        return None
    if latest is not None and latest.id == found.id:
        return found
    return verdicts.record_verdict(backend.database, replace(found.unstored(), actor=backend.actor))


def _judge(backend: Workspace, case: Case, roster: ModelState, made: Build) -> StoredVerdict:
    from lockgate.operations import score_candidate  # pandas and the boosters: not needed to find a verdict again

    earlier = verdicts.holdout_uses(backend.database, backend.model, case.digests)
    found = score_candidate.examine(backend, roster.find(case.receipt.version), case.reference, made, earlier)
    judgement = verdict.judge(found.evidence, case.policy)
    metrics = with_floor(found.metrics, noise_floor(read_card(made.prepared)))
    judged = _as_verdict(backend, case, judgement, metrics)
    return _still_in_doubt(backend, judged) or verdicts.record_verdict(backend.database, judged)


def with_floor(metrics: Mapping[str, float], floor: float | None) -> Mapping[str, float]:
    """The metrics, and how far the RMSPE is above the noise floor, where both are known."""
    if floor is None or "rmspe" not in metrics:
        return metrics
    return {**metrics, "noise_floor": floor, "over_floor": metrics["rmspe"] - floor}


def _still_in_doubt(backend: Workspace, found: Verdict) -> StoredVerdict | None:
    """The newest verdict on the version, if this one says no more: the same doubt twice is on record once."""
    latest = verdicts.latest_verdict(backend.database, backend.model, found.version)
    if latest is None or found.outcome != Outcome.INCONCLUSIVE:
        return None
    same = (latest.digests, latest.outcome, latest.checks) == (found.digests, found.outcome, found.checks)
    return latest if same else None


def _as_verdict(backend: Workspace, case: Case, judgement: Judgement, metrics: Mapping[str, float]) -> Verdict:
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


def _show_in_mlflow(backend: Workspace, found: StoredVerdict, receipt: Receipt, made: Build) -> None:
    """The found on the run and on the version's page; the version's tag comes last and says that it was shown."""
    registry = backend.registry()
    finite = {f"holdout.{name}": value for name, value in found.metrics.items() if isfinite(value)}
    pictures = [path for path in [made.holdout_plot] if path.is_file()]
    registry.log_verdict(receipt.run_id, finite, as_json(found), pictures)
    registry.tag_version(receipt.version, {"verdict": found.outcome, "verdict_id": str(found.id)}, described(found))


def as_json(found: StoredVerdict) -> dict[str, Any]:
    """The verdict as JSON, with null for a metric that is no number; `decided_at` is the database's time."""
    metrics = {name: value if isfinite(value) else None for name, value in found.metrics.items()}
    return asdict(found) | {"decided_at": found.decided_at.isoformat(), "metrics": metrics}


def described(found: StoredVerdict) -> str:
    """The verdict as Markdown, for the version's page and report.md."""
    heading = f"Verdict {found.id} on version {found.version}: **{found.outcome.upper()}**"
    return verdict.as_markdown(heading, found.checks, found.metrics)


def reported(found: StoredVerdict) -> str:
    """The verdict for a terminal: the outcome first and loud, then each check."""
    heading = f"{found.outcome.upper()}: version {found.version} of {found.model}"
    return verdict.as_text(heading, found.checks, found.metrics)


def _move_to_staging(backend: Workspace, found: StoredVerdict) -> None:
    if moves.staging(backend.state(), found.version) is None:
        return
    with backend.lock() as lock:
        move = moves.staging(backend.state(), found.version)
        if move is not None:
            lock.carry_out(move, f"verdict {found.id} passed")
