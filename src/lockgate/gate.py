"""The gate: evidence held against the policy gives a judgement. Pure; to add a check, add it to CHECKS."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from math import isfinite
from typing import Any

from lockgate import digests
from lockgate.params import GateParams

MAX_BATCH_GAP = 1e-9
NUMBERS = "forecasts are numbers"


class Outcome(StrEnum):
    """How a check or a whole verdict ends. Only `passed` ever moves a version up."""

    PASSED = "passed"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Rival:
    """The version in Production, scored on the holdout rows that it can forecast."""

    version: int
    digest: str
    rmspe: float
    candidate_rmspe: float
    rows: int


@dataclass(frozen=True)
class Numbers:
    """What kind of numbers the forecasts are: how many are not finite or below zero, and how many different ones."""

    not_finite: int
    negative: int
    different: int


@dataclass(frozen=True)
class Evidence:
    """What was measured of a candidate on the holdout. RMSPE is a share (0.10 = 10 %), NaN where there is none.

    None: `rival` where nobody else serves, `trained_until` and `tree_clean` where nobody knows.
    """

    rmspe: float
    baseline_rmspe: float
    scored_rows: int
    rival: Rival | None
    holdout_from: date
    trained_until: date | None
    has_signature: bool
    batch_gap: float
    numbers: Numbers
    tree_clean: bool | None


@dataclass(frozen=True)
class NoEvidence:
    """Why a candidate gave no forecasts: it crashed, hung, took too much memory, raised an error, or is gone."""

    says: str


@dataclass(frozen=True)
class Check:
    """One question of the gate with its answer, in words that a reviewer can use."""

    name: str
    outcome: Outcome
    says: str


@dataclass(frozen=True)
class Judgement:
    """All checks of one candidate and what follows from them."""

    outcome: Outcome
    checks: tuple[Check, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """The checks as plain values, in the order in which they were asked."""
        return [asdict(check) for check in self.checks]


def judge(evidence: Evidence | NoEvidence, policy: GateParams) -> Judgement:
    """Ask every check; a refusal outweighs a doubt, a doubt outweighs a pass, and no checks at all is a doubt.

    Without evidence there is nothing to ask, and so a doubt.
    """
    if isinstance(evidence, NoEvidence):
        return Judgement(Outcome.INCONCLUSIVE, (Check(NUMBERS, Outcome.INCONCLUSIVE, evidence.says),))
    checks = tuple(Check(name, *ask(evidence, policy)) for name, ask in CHECKS.items())
    return Judgement(outcome_of(checks), checks)


def outcome_of(checks: Sequence[Check]) -> Outcome:
    """The verdict that follows from the checks."""
    outcomes = {check.outcome for check in checks}
    if Outcome.REFUSED in outcomes:
        return Outcome.REFUSED
    return Outcome.PASSED if outcomes == {Outcome.PASSED} else Outcome.INCONCLUSIVE


def policy_digest(policy: GateParams) -> str:
    """SHA-256 of the limits and of the questions asked: change either, and earlier verdicts no longer count."""
    return digests.of_json({"limits": policy.model_dump(), "checks": list(CHECKS)})


Answer = tuple[Outcome, str]


def _under_the_limit(evidence: Evidence, policy: GateParams) -> Answer:
    if not _is_rmspe(evidence.rmspe):
        return Outcome.INCONCLUSIVE, f"RMSPE is {evidence.rmspe}, which is no measurement"
    return _answer(evidence.rmspe < policy.max_rmspe, f"RMSPE {evidence.rmspe:.5f}, must be below {policy.max_rmspe:g}")


def _holds_against_serving(evidence: Evidence, policy: GateParams) -> Answer:
    rival = evidence.rival
    if rival is None:
        return Outcome.PASSED, "no other version is in Production"
    if not rival.rows:
        return Outcome.PASSED, f"version {rival.version} in Production cannot forecast these days any more"
    if not (_is_rmspe(rival.rmspe) and _is_rmspe(rival.candidate_rmspe)):
        return Outcome.INCONCLUSIVE, f"version {rival.version} in Production could not be scored: RMSPE {rival.rmspe}"
    margin = policy.max_rmspe_over_serving
    return _answer(
        rival.candidate_rmspe <= rival.rmspe + margin,
        f"RMSPE {rival.candidate_rmspe:.5f} against {rival.rmspe:.5f} of version {rival.version}"
        f" on {rival.rows} rows, may be {margin:g} worse",
    )


def _beats_the_baseline(evidence: Evidence, _: GateParams) -> Answer:
    if not (_is_rmspe(evidence.baseline_rmspe) and _is_rmspe(evidence.rmspe)):
        return Outcome.INCONCLUSIVE, f"the seasonal naive forecast has RMSPE {evidence.baseline_rmspe}"
    return _answer(
        evidence.rmspe < evidence.baseline_rmspe,
        f"RMSPE {evidence.rmspe:.5f}, the seasonal naive forecast has {evidence.baseline_rmspe:.5f}",
    )


def _enough_rows(evidence: Evidence, policy: GateParams) -> Answer:
    says = f"{evidence.scored_rows} rows scored, at least {policy.min_scored_rows} are needed"
    return (Outcome.PASSED if evidence.scored_rows >= policy.min_scored_rows else Outcome.INCONCLUSIVE), says


def _forecasts_numbers(evidence: Evidence, _: GateParams) -> Answer:
    found = evidence.numbers
    if found.not_finite:
        return Outcome.INCONCLUSIVE, f"{found.not_finite} rows have no finite forecast"
    if found.negative:
        return Outcome.REFUSED, f"{found.negative} forecasts are below zero"
    return _answer(found.different > 1, f"{found.different} different forecasts for {evidence.scored_rows} rows")


def _is_credible(evidence: Evidence, policy: GateParams) -> Answer:
    """Far better than a naive forecast is what a model looks like that has seen the answers."""
    floor = evidence.baseline_rmspe * policy.min_share_of_naive
    if evidence.rmspe > floor:
        return Outcome.PASSED, f"RMSPE {evidence.rmspe:.5f}, to be believed above {floor:.5f}"
    return Outcome.INCONCLUSIVE, (
        f"RMSPE {evidence.rmspe:.5f} is suspiciously good: no more than {policy.min_share_of_naive:g} of"
        f" the {evidence.baseline_rmspe:.5f} of the seasonal naive forecast"
    )


def _holdout_unseen(evidence: Evidence, _: GateParams) -> Answer:
    if evidence.trained_until is None:
        return (
            Outcome.INCONCLUSIVE,
            f"nobody knows until when it was trained, the holdout begins on {evidence.holdout_from}",
        )
    return _answer(
        evidence.trained_until < evidence.holdout_from,
        f"trained until {evidence.trained_until}, the holdout begins on {evidence.holdout_from}",
    )


def _has_a_signature(evidence: Evidence, _: GateParams) -> Answer:
    found = evidence.has_signature
    return _answer(
        found, f"the registered model {'states' if found else 'does not state'} its input and output columns"
    )


def _row_equals_batch(evidence: Evidence, _: GateParams) -> Answer:
    if not isfinite(evidence.batch_gap):
        return Outcome.INCONCLUSIVE, "rows alone and in a batch cannot be compared: some forecasts are not finite"
    return _answer(
        evidence.batch_gap <= MAX_BATCH_GAP,
        f"a row alone and the same row in a batch differ by {evidence.batch_gap:.1e} at most",
    )


def _code_committed(evidence: Evidence, policy: GateParams) -> Answer:
    if not policy.clean_tree_required:
        return Outcome.PASSED, "the policy does not ask whether the code was committed"
    state = {True: "committed", False: "changed since the last commit", None: "in no known commit"}
    return _answer(evidence.tree_clean is True, f"the code that made it was {state[evidence.tree_clean]}")


def _answer(good: bool, says: str) -> Answer:
    return (Outcome.PASSED if good else Outcome.REFUSED), says


def _is_rmspe(value: float) -> bool:
    return isfinite(value) and value >= 0


CHECKS: dict[str, Callable[[Evidence, GateParams], Answer]] = {
    NUMBERS: _forecasts_numbers,
    "rmspe under the limit": _under_the_limit,
    "no worse than serving": _holds_against_serving,
    "better than naive": _beats_the_baseline,
    "not too good to be true": _is_credible,
    "enough rows": _enough_rows,
    "holdout unseen": _holdout_unseen,
    "signature present": _has_a_signature,
    "one row = batch": _row_equals_batch,
    "code committed": _code_committed,
}
