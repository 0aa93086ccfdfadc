"""The checks of the gate: each compares the evidence with one limit of the policy. To add a check, add it to CHECKS."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from lockgate.gate.evidence import Evidence, Outcome, ServingComparison
from lockgate.problem.params import GateParams

if TYPE_CHECKING:  # numpy and pandas are not needed for a policy's digest
    from lockgate.evaluation.paired_test import PairedTest

MAX_BATCH_GAP = 1e-9
MOST_NAMES = 5
VALID = "predictions valid"
ALONE = "no other version is in Production"

Answer = tuple[Outcome, str]


def _below_limit(evidence: Evidence, policy: GateParams) -> Answer:
    score, limit = evidence.rmspe, policy.max_rmspe
    if not _is_rmspe(score):
        return Outcome.INCONCLUSIVE, f"the RMSPE is {score}, which is not a valid score"
    low, high = evidence.interval
    measured = f"RMSPE {score:.5f} (95 %: {low:.5f} to {high:.5f}), limit {limit:g} (gate.max_rmspe)"
    if score < limit:
        return Outcome.PASSED, measured
    includes = "includes" if low < limit else "does not include"
    return Outcome.REFUSED, (
        f"{measured}: {score - limit:.5f} or {score / limit - 1:.1%} too high; the interval {includes} the limit"
    )


def _with_serving(
    check: Callable[[ServingComparison, GateParams], Answer],
) -> Callable[[Evidence, GateParams], Answer]:
    """A check against the version in Production; it also answers if there is none, or if it cannot be scored."""

    def answer(evidence: Evidence, policy: GateParams) -> Answer:
        serving = evidence.serving
        if serving is None:
            return Outcome.PASSED, ALONE
        if not serving.paired_test.rows:
            return Outcome.PASSED, f"version {serving.version} in Production cannot forecast these days"
        if not _is_measured(serving.paired_test):
            score = serving.paired_test.reference_rmspe
            return Outcome.INCONCLUSIVE, (
                f"version {serving.version} in Production could not be scored: its RMSPE is {score}"
            )
        return check(serving, policy)

    return answer


@_with_serving
def _no_worse_than_serving(serving: ServingComparison, policy: GateParams) -> Answer:
    test, margin = serving.paired_test, policy.max_rmspe_over_serving
    low, high = test.difference.interval()
    measured = (
        f"{_compared(test, f'version {serving.version} in Production')} on {test.rows} rows;"
        f" at most {margin:g} is allowed (gate.max_rmspe_over_serving)"
    )
    if low <= margin < high:
        return Outcome.INCONCLUSIVE, f"{measured}: the holdout is too small to decide"
    return _answer(high <= margin, measured)


@_with_serving
def _no_slice_worse(serving: ServingComparison, policy: GateParams) -> Answer:
    test, margin = serving.paired_test, policy.max_slice_over_serving
    skipped = f"; too small to compare: {', '.join(test.left_out)}" if test.left_out else ""
    worst = test.worst
    if worst is None:
        return Outcome.PASSED, f"no slice is large enough to compare{skipped}"
    low, high = test.interval(worst)
    return _answer(
        low <= margin,
        f"the worst of {len(test.slices)} slices is {worst.name}: RMSPE {worst.difference.value:+.5f} (95 %:"
        f" {low:+.5f} to {high:+.5f}) on {worst.rows} rows; refused if the whole interval is above {margin:g}"
        f" (gate.max_slice_over_serving){skipped}",
    )


def _better_than_naive(evidence: Evidence, policy: GateParams) -> Answer:
    naive = evidence.baseline_rmspe
    if not (_is_rmspe(naive) and _is_rmspe(evidence.rmspe)):
        return Outcome.INCONCLUSIVE, f"the seasonal naive forecast has RMSPE {naive}"
    limit = naive * (1 - policy.min_gain_over_baseline)
    return _answer(
        evidence.rmspe < limit,
        f"RMSPE {evidence.rmspe:.5f}, limit {limit:.5f}: {policy.min_gain_over_baseline:.0%}"
        f" (gate.min_gain_over_baseline) below the {naive:.5f} of the seasonal naive forecast",
    )


def _no_worse_than_linear(evidence: Evidence, _: GateParams) -> Answer:
    """Refused if the blend is significantly worse than its linear member, because then the boosters do harm."""
    test = evidence.linear
    if test is None:
        return Outcome.PASSED, "the model has no linear member"
    if not _is_measured(test):
        return Outcome.INCONCLUSIVE, f"the linear member could not be scored: its RMSPE is {test.reference_rmspe}"
    return _answer(test.difference.interval()[0] <= 0, _compared(test, "the linear member alone"))


def _compared(test: "PairedTest", other: str) -> str:
    low, high = test.difference.interval()
    return (
        f"RMSPE {test.candidate_rmspe:.5f} against {test.reference_rmspe:.5f} of {other}:"
        f" {test.difference.value:+.5f} (95 %: {low:+.5f} to {high:+.5f})"
    )


def _holdout_not_overused(evidence: Evidence, policy: GateParams) -> Answer:
    """Inconclusive after too many uses: a holdout that selects the best of many candidates gives too good a score."""
    enough = evidence.holdout_uses < policy.max_holdout_uses
    return (Outcome.PASSED if enough else Outcome.INCONCLUSIVE), (
        f"this holdout has judged {evidence.holdout_uses} other versions; fewer than {policy.max_holdout_uses}"
        " are allowed (gate.max_holdout_uses)"
    )


def _enough_rows(evidence: Evidence, policy: GateParams) -> Answer:
    enough = evidence.scored_rows >= policy.min_scored_rows
    return (Outcome.PASSED if enough else Outcome.INCONCLUSIVE), (
        f"{evidence.scored_rows} rows scored, at least {policy.min_scored_rows} are needed (gate.min_scored_rows)"
    )


def _predictions_valid(evidence: Evidence, _: GateParams) -> Answer:
    found = evidence.sanity
    if found.not_finite:
        return Outcome.INCONCLUSIVE, f"{found.not_finite} rows have no finite forecast"
    if found.negative:
        return Outcome.REFUSED, f"{found.negative} forecasts are negative"
    return _answer(found.different > 1, f"{found.different} different forecasts for {evidence.scored_rows} rows")


def _plausible_score(evidence: Evidence, policy: GateParams) -> Answer:
    """A score far better than the naive forecast's suggests that the model has seen the target."""
    floor = evidence.baseline_rmspe * policy.min_share_of_naive
    limit = f"{policy.min_share_of_naive:.0%} (gate.min_share_of_naive) of the seasonal naive forecast's"
    if evidence.rmspe > floor:
        return Outcome.PASSED, f"RMSPE {evidence.rmspe:.5f} is above {floor:.5f}, {limit}"
    return Outcome.INCONCLUSIVE, (
        f"RMSPE {evidence.rmspe:.5f} is suspiciously low: not above {floor:.5f}, {limit}; look for leakage"
    )


def _no_data_leakage(evidence: Evidence, _: GateParams) -> Answer:
    """Refused for features that use later sales; inconclusive if other rows gave the stored history."""
    if not evidence.uses_target_history:
        return Outcome.PASSED, "not needed: the features use the row and its store, never sales"
    found = evidence.leakage
    if found is None:
        return Outcome.INCONCLUSIVE, "the prepared rows end before the last training day of the model"
    if found.leaking_features:
        return Outcome.REFUSED, (
            f"replacing sales after the training cutoff changes {_few(found.leaking_features)}:"
            " these features use future data"
        )
    if not found.features_using_history:
        return Outcome.INCONCLUSIVE, f"replacing all sales changes none of {found.tested_features} features"
    if found.history_mismatch:
        return Outcome.INCONCLUSIVE, (
            f"{_few(found.history_mismatch)}, recomputed from the prepared rows up to {found.cutoff}, differ from the"
            " bundle: it was trained on other or later rows"
        )
    return Outcome.PASSED, (
        f"{found.features_using_history} of {found.tested_features} features depend on sales before the cutoff,"
        f" none on later sales; the stored history matches the data up to {found.cutoff}"
    )


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _holdout_unseen(evidence: Evidence, _: GateParams) -> Answer:
    if evidence.trained_until is None:
        return Outcome.INCONCLUSIVE, (
            f"the last day of the training is unknown; the holdout begins on {evidence.holdout_from}"
        )
    return _answer(
        evidence.trained_until < evidence.holdout_from,
        f"trained until {evidence.trained_until}, the holdout begins on {evidence.holdout_from}",
    )


def _has_signature(evidence: Evidence, _: GateParams) -> Answer:
    declares = "declares" if evidence.has_signature else "does not declare"
    return _answer(evidence.has_signature, f"the registered model {declares} its input and output columns")


def _row_and_batch_agree(evidence: Evidence, _: GateParams) -> Answer:
    if not isfinite(evidence.batch_gap):
        return Outcome.INCONCLUSIVE, "single rows and the batch cannot be compared: some forecasts are not finite"
    return _answer(
        evidence.batch_gap <= MAX_BATCH_GAP,
        f"a row alone and the same row in a batch differ by at most {evidence.batch_gap:.1e}, relative;"
        f" {MAX_BATCH_GAP:.0e} is allowed",
    )


def _code_committed(evidence: Evidence, policy: GateParams) -> Answer:
    if not policy.clean_tree_required:
        return Outcome.PASSED, "not required by the policy (gate.clean_tree_required: false)"
    state = {True: "committed", False: "changed since the last commit", None: "of an unknown commit"}
    return _answer(evidence.tree_clean is True, f"the training code was {state[evidence.tree_clean]}")


def _answer(good: bool, message: str) -> Answer:
    return (Outcome.PASSED if good else Outcome.REFUSED), message


def _is_measured(test: "PairedTest") -> bool:
    scores = test.candidate_rmspe, test.reference_rmspe
    return all(map(_is_rmspe, scores)) and isfinite(test.difference.error)


def _is_rmspe(value: float) -> bool:
    return isfinite(value) and value >= 0


CHECKS: dict[str, Callable[[Evidence, GateParams], Answer]] = {
    VALID: _predictions_valid,
    "rmspe below limit": _below_limit,
    "no worse than serving": _no_worse_than_serving,
    "no slice worse than serving": _no_slice_worse,
    "better than naive": _better_than_naive,
    "no worse than linear member": _no_worse_than_linear,
    "plausible score": _plausible_score,
    "enough rows": _enough_rows,
    "no data leakage": _no_data_leakage,
    "holdout unseen": _holdout_unseen,
    "holdout not overused": _holdout_not_overused,
    "signature present": _has_signature,
    "row and batch agree": _row_and_batch_agree,
    "code committed": _code_committed,
}
