"""The gate: evidence held against the policy gives a judgement. Pure; to add a check, add it to CHECKS."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Any

from lockgate import digests
from lockgate.problem.params import GateParams

if TYPE_CHECKING:  # numpy and pandas are not needed for a policy's digest
    from lockgate.evaluation.leakage import LeakageReport
    from lockgate.evaluation.paired_test import Contest

MAX_BATCH_GAP = 1e-9
MOST_NAMES = 5
NUMBERS = "forecasts are numbers"
NO_RIVAL = "no other version is in Production"


class Outcome(StrEnum):
    """How a check or a whole verdict ends. Only `passed` ever moves a version up."""

    PASSED = "passed"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Rival:
    """The version in Production, and how the candidate holds against it on the holdout rows that it can forecast."""

    version: int
    digest: str
    contest: "Contest"


@dataclass(frozen=True)
class Numbers:
    """What kind of numbers the forecasts are: how many are not finite or below zero, and how many different ones."""

    not_finite: int
    negative: int
    different: int


@dataclass(frozen=True)
class Evidence:
    """What was measured of a candidate on the holdout. RMSPE is a share (0.10 = 10 %), NaN where there is none.

    None: `rival` where nobody else serves, `ridge` where the candidate has none to be held against, `trained_until` and
    `tree_clean` where nobody knows, `hindsight` where no rows are there to look for leaks with. `holdout_uses` counts
    the other versions that this holdout has judged; `needs_sales` is False of a candidate that is given none.
    """

    rmspe: float
    baseline_rmspe: float
    scored_rows: int
    rival: Rival | None
    ridge: "Contest | None"
    holdout_uses: int
    holdout_from: date
    trained_until: date | None
    has_signature: bool
    batch_gap: float
    numbers: Numbers
    tree_clean: bool | None
    hindsight: "LeakageReport | None"
    needs_sales: bool


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


def _asked_of_a_rival(ask: Callable[[Rival, GateParams], Answer]) -> Callable[[Evidence, GateParams], Answer]:
    """A question about the serving version, with the answer where there is none, or none that can be scored."""

    def answer(evidence: Evidence, policy: GateParams) -> Answer:
        rival = evidence.rival
        if rival is None:
            return Outcome.PASSED, NO_RIVAL
        whom = f"version {rival.version} in Production"
        if not rival.contest.rows:
            return Outcome.PASSED, f"{whom} cannot forecast these days any more"
        if not _is_measured(rival.contest):
            return Outcome.INCONCLUSIVE, f"{whom} could not be scored: RMSPE {rival.contest.theirs}"
        return ask(rival, policy)

    return answer


@_asked_of_a_rival
def _holds_against_serving(rival: Rival, policy: GateParams) -> Answer:
    contest, margin = rival.contest, policy.max_rmspe_over_serving
    low, high = contest.difference.interval()
    says = f"{_compared(contest, f'version {rival.version}')} on {contest.rows} rows, may be {margin:g}"
    if low <= margin < high:
        return Outcome.INCONCLUSIVE, f"{says}: these rows do not tell"
    return _answer(high <= margin, says)


@_asked_of_a_rival
def _holds_on_each_slice(rival: Rival, policy: GateParams) -> Answer:
    contest, margin = rival.contest, policy.max_slice_over_serving
    too_small = f"; too small to tell: {', '.join(contest.left_out)}" if contest.left_out else ""
    worst = contest.worst
    if worst is None:
        return Outcome.PASSED, f"no slice is large enough{too_small}"
    low, high = contest.interval(worst)
    return _answer(
        low <= margin,
        f"the worst of {len(contest.slices)} is {worst.name}: RMSPE {worst.difference.value:+.5f} (95 %: {low:+.5f} to"
        f" {high:+.5f}) on {worst.rows} rows, refused if all above {margin:g}{too_small}",
    )


def _beats_the_baseline(evidence: Evidence, policy: GateParams) -> Answer:
    naive = evidence.baseline_rmspe
    if not (_is_rmspe(naive) and _is_rmspe(evidence.rmspe)):
        return Outcome.INCONCLUSIVE, f"the seasonal naive forecast has RMSPE {naive}"
    limit = naive * (1 - policy.min_gain_over_baseline)
    return _answer(
        evidence.rmspe < limit,
        f"RMSPE {evidence.rmspe:.5f}, must be below {limit:.5f}: the seasonal naive forecast has {naive:.5f}",
    )


def _holds_against_its_ridge(evidence: Evidence, _: GateParams) -> Answer:
    """Worse than the ridge by more than chance: then the rest of the blend does harm."""
    contest = evidence.ridge
    if contest is None:
        return Outcome.PASSED, "it has no ridge in it"
    if not _is_measured(contest):
        return Outcome.INCONCLUSIVE, f"its ridge could not be scored: RMSPE {contest.theirs}"
    return _answer(contest.difference.interval()[0] <= 0, _compared(contest, "its ridge alone"))


def _compared(contest: "Contest", whom: str) -> str:
    low, high = contest.difference.interval()
    return (
        f"RMSPE {contest.ours:.5f} against {contest.theirs:.5f} of {whom}:"
        f" {contest.difference.value:+.5f} (95 %: {low:+.5f} to {high:+.5f})"
    )


def _holdout_not_worn_out(evidence: Evidence, policy: GateParams) -> Answer:
    """The best of many candidates looks better than it is: the holdout has helped to choose it."""
    enough = evidence.holdout_uses < policy.max_holdout_uses
    says = f"this holdout has judged {evidence.holdout_uses} other versions, it may judge {policy.max_holdout_uses}"
    return (Outcome.PASSED if enough else Outcome.INCONCLUSIVE), says


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


def _no_leaks(evidence: Evidence, _: GateParams) -> Answer:
    """Whether features move with later sales, and whether the past in the bundle is that of these rows.

    Where it is not, the rows may be others than those that it was trained on: a doubt, and no refusal.
    """
    if not evidence.needs_sales:
        return Outcome.PASSED, "not needed: its columns are made of the row and its store, never of sales"
    found = evidence.hindsight
    if found is None:
        return Outcome.INCONCLUSIVE, "the prepared rows do not lead up to the day until which it was trained"
    if found.leaking_features:
        return Outcome.REFUSED, f"noise in place of the sales after its origin moves {_few(found.leaking_features)}"
    if not found.features_using_history:
        return Outcome.INCONCLUSIVE, f"noise in place of all sales moves none of {found.tested_features} features"
    if found.history_mismatch:
        return Outcome.INCONCLUSIVE, (
            f"the prepared rows until {found.cutoff} give {_few(found.history_mismatch)} otherwise than it remembers:"
            " it has learned from other rows, or from later ones"
        )
    return Outcome.PASSED, (
        f"of {found.tested_features} features, {found.features_using_history} move with sales up to an origin"
        " and none with later ones;"
        f" the past that it remembers is that of the rows until {found.cutoff}"
    )


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


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


def _is_measured(contest: "Contest") -> bool:
    return _is_rmspe(contest.ours) and _is_rmspe(contest.theirs) and isfinite(contest.difference.error)


def _is_rmspe(value: float) -> bool:
    return isfinite(value) and value >= 0


CHECKS: dict[str, Callable[[Evidence, GateParams], Answer]] = {
    NUMBERS: _forecasts_numbers,
    "rmspe under the limit": _under_the_limit,
    "no worse than serving": _holds_against_serving,
    "no slice worse than serving": _holds_on_each_slice,
    "better than naive": _beats_the_baseline,
    "no worse than its ridge": _holds_against_its_ridge,
    "not too good to be true": _is_credible,
    "enough rows": _enough_rows,
    "no leaking feature": _no_leaks,
    "holdout unseen": _holdout_unseen,
    "holdout not worn out": _holdout_not_worn_out,
    "signature present": _has_a_signature,
    "one row = batch": _row_equals_batch,
    "code committed": _code_committed,
}
