"""The validate stage: the gate judges the registered version, and a passed one goes to Staging."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from lockgate.data.data_card import noise_floor, read_card
from lockgate.database import policies, verdicts, versions
from lockgate.database.verdicts import Digests, StoredVerdict, Verdict
from lockgate.errors import StateConflict
from lockgate.gate import verdict
from lockgate.gate.evidence import Outcome
from lockgate.gate.verdict import Judgement
from lockgate.lifecycle import moves
from lockgate.lifecycle.model_state import ModelState, Registered
from lockgate.operations import lineage, run_report, verdict_review
from lockgate.operations.stage_files import Build, Receipt
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem
from lockgate.problem.params import EngineParams, Policy
from lockgate.reports import review_markdown, run_metrics

IN_PROCESS = EngineParams()


@dataclass(frozen=True)
class Case:
    """The inputs of a verdict: a version and its bundle, the holdout, the policy, and the serving version."""

    receipt: Receipt
    holdout_digest: str
    policy: Policy
    problem: Problem
    serving: Registered | None
    engine: EngineParams

    @property
    def candidate_serves(self) -> bool:
        """Whether the candidate is in Production."""
        return self.serving is not None and self.serving.version == self.receipt.version

    @property
    def digests(self) -> Digests:
        """The digests of the inputs."""
        serving_digest = self.reference.bundle_digest if self.reference else None
        policy_digest = verdict.policy_digest(self.policy)
        return Digests(self.receipt.bundle_digest, self.holdout_digest, policy_digest, serving_digest)

    @property
    def reference(self) -> Registered | None:
        """The version that the candidate is compared with: the serving version, unless that is the candidate."""
        return None if self.candidate_serves else self.serving


def validate(  # noqa: PLR0913 - what is judged, by which rules, and where
    workspace: Workspace,
    receipt: Receipt,
    made: Build,
    policy: Policy,
    problem: Problem,
    engine: EngineParams = IN_PROCESS,
) -> StoredVerdict:
    """Judge the version of the receipt, and move it from None to Staging if it passed.

    The policy is in force from now on. A verdict on the same bundle, holdout, policy and serving version is reused
    from Postgres, without scoring, until it expires. An inconclusive verdict is not reused.
    """
    state = workspace.state()
    state.find(receipt.version)
    policies.put_in_force(workspace.database, workspace.model, policy, workspace.actor)
    holdout_digest = read_card(made.prepared)["holdout"]["digest"]
    case = Case(receipt, holdout_digest, policy, problem, state.serving(), engine)
    again = _found_again(workspace, case)
    found, metrics = (again, {}) if again else _judge(workspace, case, state, made)
    if verdicts.shown_verdict(workspace.database, workspace.model, receipt.version) != found.id:
        _show_in_mlflow(workspace, found, made, metrics)
    if found.outcome == Outcome.PASSED:
        _move_to_staging(workspace, found)
    return found


def validate_registered(  # noqa: PLR0913 - as `validate`
    workspace: Workspace,
    version: int | None,
    prepared: Path,
    policy: Policy,
    problem: Problem,
    engine: EngineParams = IN_PROCESS,
) -> StoredVerdict:
    """Judge a registered version (by default the newest in None) on the prepared tables.

    Raises StateConflict if there is none, if it is past Staging, or if it was registered outside Lockgate.
    """
    candidate = moves.candidate_for_validation(workspace.state(), version)
    known = versions.recorded_version(workspace.database, workspace.model, candidate.version)
    if known is None:
        raise StateConflict(
            f"version {candidate.version} of {workspace.model} was registered outside Lockgate",
            hint="download its files and register them: lockgate register PATH",
        )
    receipt = Receipt(workspace.model, known.version, known.run_id, known.bundle_digest)
    with TemporaryDirectory(prefix="lockgate-") as folder:
        return validate(workspace, receipt, Build(prepared, Path(folder)), policy, problem, engine)


def _found_again(workspace: Workspace, case: Case) -> StoredVerdict | None:
    """Reuse an unexpired verdict on the same inputs; record it again after a newer one, since the newest decides.

    For a version in Production, the comparison that brought it there stays valid.
    """
    latest = verdicts.latest_verdict(workspace.database, workspace.model, case.receipt.version)
    digests = case.digests
    if latest is not None and case.candidate_serves:
        digests = replace(digests, serving_digest=latest.digests.serving_digest)
    found = verdicts.find_verdict(workspace.database, workspace.model, digests, case.policy.verdict_valid_days)
    if found is None or found.outcome == Outcome.INCONCLUSIVE:
        return None
    if latest is not None and latest.id == found.id:
        return found
    return verdicts.record_verdict(workspace.database, replace(found.unstored(), actor=workspace.actor))


def _judge(workspace: Workspace, case: Case, state: ModelState, made: Build) -> tuple[StoredVerdict, dict[str, float]]:
    """A verdict by the gate, and further metrics for the run. Writes the plots into the build folder."""
    from lockgate.operations import score_candidate  # imports pandas and the boosters: not needed for a reused verdict

    use = verdicts.holdout_use(workspace.database, workspace.model, case.digests)
    pair = score_candidate.VersionPair(state.find(case.receipt.version), case.reference)
    problem = case.problem.model_copy(update={"metric": case.policy.metric})  # the policy's metric judges
    found = score_candidate.examine(workspace, pair, made, problem, use, case.engine)
    judgement = verdict.judge(found.evidence, case.policy)
    metrics = with_floor(found.metrics, noise_floor(read_card(made.prepared)))
    given = _as_verdict(workspace, case, judgement, metrics)
    recorded = _same_inconclusive(workspace, given) or verdicts.record_verdict(workspace.database, given)
    if found.judged is None:
        run_report.clear(made)
        return recorded, {}
    run_report.draw(found.judged, made, recorded)
    slices = {each.name: each.score for each in found.judged.slices}
    return recorded, run_metrics.of_slices(problem.metric, slices) | run_metrics.of_coverage(found.judged.coverage)


def with_floor(metrics: Mapping[str, float], floor: float | None) -> Mapping[str, float]:
    """The metrics, with the noise floor (an RMSPE) and the distance of the RMSPE from it, if both are known."""
    if floor is None or "rmspe" not in metrics:
        return metrics
    return {**metrics, "noise_floor": floor, "over_floor": metrics["rmspe"] - floor}


def _same_inconclusive(workspace: Workspace, found: Verdict) -> StoredVerdict | None:
    """The newest verdict on the version, if it is inconclusive and decides the same: it is not recorded twice."""
    latest = verdicts.latest_verdict(workspace.database, workspace.model, found.version)
    if latest is None or found.outcome != Outcome.INCONCLUSIVE:
        return None
    return latest if _decided(latest) == _decided(found) else None


def _decided(found: Verdict) -> tuple[Digests, list[tuple[object, object]]]:
    """The inputs of a verdict and the outcome of each check, without messages: a crash may end by various signals."""
    return found.digests, [(check["name"], check["outcome"]) for check in found.checks]


def _as_verdict(workspace: Workspace, case: Case, judgement: Judgement, metrics: Mapping[str, float]) -> Verdict:
    return Verdict(
        model=workspace.model,
        version=case.receipt.version,
        digests=case.digests,
        outcome=judgement.outcome,
        checks=judgement.as_json(),
        metrics=metrics,
        code_commit=lineage.git_commit(Path.cwd()),
        actor=workspace.actor,
    )


def _show_in_mlflow(workspace: Workspace, found: StoredVerdict, made: Build, more: dict[str, float]) -> None:
    """Show the verdict on the run and on the page of the version; the tag of the version is set last, as a mark.

    If a newer verdict was recorded meanwhile, the guard refuses the tags: the other command shows the newer verdict.
    """
    registry, review = workspace.registry(), verdict_review.review_of_verdict(workspace, found)
    logged = run_report.files(registry, review, found, made)
    metrics = run_metrics.of_verdict(found.metrics) | more
    registry.log_verdict(review.run_id, metrics, logged.files, review_markdown.note(review))
    repeated = verdicts.tags_on_record(workspace.database, workspace.model, found.version)
    tags = {**repeated, "metric": review.metric.name, "verdict": found.outcome, "verdict_id": str(found.id)}
    try:
        registry.tag_version(found.version, tags, review_markdown.description(review, logged.overview))
    except StateConflict:
        latest = verdicts.latest_verdict(workspace.database, workspace.model, found.version)
        if latest is None or latest.id == found.id:
            raise


def reported(found: StoredVerdict) -> str:
    """The verdict for a terminal: the outcome in capitals, then each check."""
    heading = f"{found.outcome.upper()}: version {found.version} of {found.model}"
    return verdict.as_text(heading, found.checks, found.metrics)


def _move_to_staging(workspace: Workspace, found: StoredVerdict) -> None:
    if moves.staging(workspace.state(), found.version) is None:
        return
    with workspace.lock() as lock:
        move = moves.staging(workspace.state(), found.version)
        if move is not None:
            lock.carry_out(move, f"verdict {found.id} passed")
