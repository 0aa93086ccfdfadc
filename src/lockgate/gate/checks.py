"""The checks of the gate: each compares the evidence with one limit of the policy. To add a check, add it to CHECKS."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from lockgate.gate.evidence import Evidence, Outcome, ServingComparison
from lockgate.problem.metrics import Metric
from lockgate.problem.params import Policy

if TYPE_CHECKING:  # numpy and pandas are not needed for a policy's digest
    from lockgate.evaluation.leakage import LeakageReport
    from lockgate.evaluation.paired_test import PairedTest

MAX_BATCH_GAP = 1e-9
MOST_NAMES = 5
FEWEST_KEYS = 0.5  # share of the keys of the training rows that the holdout of a panel must have
VALID = "predictions valid"
WITHIN_LIMIT = "within limit"
ALONE = "no other version is in Production"
NO_FUTURE = "no target after the cutoff"
NO_OWN_TARGET = "no target of the own row"
SAME_ROWS = "equal to the prepared rows"


class Answer(NamedTuple):
    """The outcome of a check, its sentence, and the cells of a table: what was measured, and what is allowed."""

    outcome: Outcome
    says: str
    measured: str = ""
    limit: str = ""


def _within_limit(evidence: Evidence, policy: Policy) -> Answer:
    metric, score = policy.measure, evidence.score
    if not metric.is_valid(score):
        return Answer(Outcome.INCONCLUSIVE, f"the {metric.label} is {score}, which is not a valid score", str(score))
    low, high = evidence.interval
    over = metric.worse_by(score, policy.limit)
    cells = (f"{metric.shown(score)} ({metric.shown(low)} to {metric.shown(high)})", _side(metric, policy.limit))
    measured = (
        f"{metric.label} {metric.shown(score)} (95 %: {metric.shown(low)} to {metric.shown(high)}),"
        f" limit {policy.limit:g} (gate.limit)"
    )
    if over < 0:
        return Answer(Outcome.PASSED, measured, *cells)
    includes = "includes" if min(metric.worse_by(end, policy.limit) for end in (low, high)) < 0 else "does not include"
    return Answer(
        Outcome.REFUSED, f"{measured}: worse by {metric.shown(over)}; the interval {includes} the limit", *cells
    )


def _side(metric: Metric, limit: float, good: bool = True) -> str:
    """A limit and the side of it that is good."""
    below = (metric.better == "lower") == good
    return f"{'below' if below else 'above'} {limit:g}"


def _with_serving(
    check: Callable[[ServingComparison, Policy], Answer],
) -> Callable[[Evidence, Policy], Answer]:
    """A check against the version in Production; it also answers if there is none, or if it cannot be scored."""

    def answer(evidence: Evidence, policy: Policy) -> Answer:
        serving = evidence.serving
        if serving is None:
            return Answer(Outcome.PASSED, ALONE, ALONE)
        if not serving.paired_test.rows:
            unable = f"version {serving.version} in Production cannot forecast these rows"
            return Answer(Outcome.PASSED, unable, unable)
        if not _is_measured(serving.paired_test, policy.measure):
            score = serving.paired_test.reference_score
            return Answer(
                Outcome.INCONCLUSIVE,
                f"version {serving.version} in Production could not be scored: its {policy.measure.label} is {score}",
                f"its {policy.measure.label} is {score}",
            )
        return check(serving, policy)

    return answer


@_with_serving
def _no_worse_than_serving(serving: ServingComparison, policy: Policy) -> Answer:
    test, margin = serving.paired_test, policy.over_serving
    low, high = test.difference.interval()
    measured = (
        f"{_compared(test, f'version {serving.version} in Production', policy.measure)} on {test.rows} rows;"
        f" at most {margin:g} is allowed (gate.over_serving)"
    )
    cells = (_worse_by(test.difference.value, low, high, policy.measure), f"at most {margin:g}")
    if low <= margin < high:
        return Answer(Outcome.INCONCLUSIVE, f"{measured}: the holdout is too small to decide", *cells)
    return _answer(high <= margin, measured, *cells)


@_with_serving
def _no_slice_worse(serving: ServingComparison, policy: Policy) -> Answer:
    test, margin, metric = serving.paired_test, policy.over_slice, policy.measure
    skipped = f"; too small to compare: {', '.join(test.left_out)}" if test.left_out else ""
    worst = test.worst
    if worst is None:
        return Answer(
            Outcome.PASSED, f"no slice is large enough to compare{skipped}", "no slice is large enough to compare"
        )
    low, high = test.interval(worst)
    return _answer(
        low <= margin,
        f"the worst of {len(test.slices)} slices is {worst.name}: {metric.label} worse by"
        f" {_with_interval(worst.difference.value, low, high, metric)} on {worst.rows} rows; refused if the whole"
        f" interval is above {margin:g} (gate.over_slice){skipped}",
        f"{worst.name}: {_worse_by(worst.difference.value, low, high, metric)}, the worst of {len(test.slices)}",
        f"interval not above {margin:g}",
    )


def _better_than_naive(evidence: Evidence, policy: Policy) -> Answer:
    metric, naive = policy.measure, evidence.baseline_score
    if not (metric.is_valid(naive) and metric.is_valid(evidence.score)):
        return Answer(Outcome.INCONCLUSIVE, f"{evidence.baseline} has {metric.label} {naive}")
    limit = metric.with_error(metric.error(naive) * (1 - policy.min_gain_over_baseline))
    return _answer(
        metric.worse_by(evidence.score, limit) < 0,
        f"{metric.label} {metric.shown(evidence.score)}, limit {metric.shown(limit)}: an error"
        f" {policy.min_gain_over_baseline:.0%} (gate.min_gain_over_baseline) below that of {evidence.baseline}"
        f" ({metric.shown(naive)})",
        metric.shown(evidence.score),
        _side(metric, float(metric.shown(limit))),
    )


def _no_worse_than_linear(evidence: Evidence, policy: Policy) -> Answer:
    """Refused if the blend is significantly worse than its linear member, because then the boosters do harm."""
    test, metric = evidence.linear, policy.measure
    if test is None:
        return Answer(Outcome.PASSED, "the model has no linear member")
    if not _is_measured(test, metric):
        return Answer(
            Outcome.INCONCLUSIVE, f"the linear member could not be scored: its {metric.label} is {test.reference_score}"
        )
    low, high = test.difference.interval()
    return _answer(
        low <= 0,
        _compared(test, "the linear member alone", metric),
        _worse_by(test.difference.value, low, high, metric),
        "interval not above 0",
    )


def _worse_by(value: float, low: float, high: float, metric: Metric) -> str:
    """A difference of scores in few words, with its interval."""
    by = "worse" if value > 0 else "better"
    return f"{by} by {metric.shown(abs(value))} ({metric.shown_change(low)} to {metric.shown_change(high)})"


def _compared(test: "PairedTest", other: str, metric: Metric) -> str:
    return (
        f"{metric.label} {metric.shown(test.candidate_score)} against {metric.shown(test.reference_score)} of {other},"
        f" worse by {_with_interval(test.difference.value, *test.difference.interval(), metric)}"
    )


def _with_interval(value: float, low: float, high: float, metric: Metric) -> str:
    return f"{metric.shown_change(value)} (95 %: {metric.shown_change(low)} to {metric.shown_change(high)})"


def _holdout_not_overused(evidence: Evidence, policy: Policy) -> Answer:
    """Inconclusive after too many uses: a holdout that selects the best of many candidates gives too good a score.

    The same after too many days: rows that never change represent the present less and less.
    """
    use = evidence.holdout_use
    fresh = use.versions < policy.max_holdout_uses and use.days <= policy.max_holdout_days
    return Answer(
        Outcome.PASSED if fresh else Outcome.INCONCLUSIVE,
        f"this holdout has judged {_count(use.versions, 'other version')} in {_count(use.days, 'day')}; fewer than"
        f" {policy.max_holdout_uses} (gate.max_holdout_uses) in at most {_count(policy.max_holdout_days, 'day')}"
        " (gate.max_holdout_days) are allowed",
        f"{_count(use.versions, 'other version')} in {_count(use.days, 'day')}",
        f"fewer than {policy.max_holdout_uses} in {_count(policy.max_holdout_days, 'day')}",
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _enough_rows(evidence: Evidence, policy: Policy) -> Answer:
    """Inconclusive for a holdout with too few rows, or without the keys or classes of the training rows."""
    found = evidence.representation
    rows = f"{evidence.scored_rows} rows scored, at least {policy.min_scored_rows} are needed (gate.min_scored_rows)"
    if found.unknown_classes:
        unknown = f"no training row has the class {_few(found.unknown_classes)}"
        return Answer(Outcome.INCONCLUSIVE, f"{rows}; {unknown}", unknown)
    if found.missing_classes:
        missing = f"no scored row has the class {_few(found.missing_classes)}"
        return Answer(Outcome.INCONCLUSIVE, f"{rows}; {missing}", missing)
    if found.keys_scored < FEWEST_KEYS * found.keys:
        return Answer(
            Outcome.INCONCLUSIVE,
            f"{rows}; the holdout has {found.keys_scored} of {found.keys} keys of the training rows,"
            f" and at least {FEWEST_KEYS:.0%} are needed",
            f"{found.keys_scored} of {found.keys} keys",
            f"at least {FEWEST_KEYS:.0%} of the keys",
        )
    return Answer(
        Outcome.PASSED if evidence.scored_rows >= policy.min_scored_rows else Outcome.INCONCLUSIVE,
        rows,
        _count(evidence.scored_rows, "row"),
        f"at least {policy.min_scored_rows}",
    )


def _predictions_valid(evidence: Evidence, _: Policy) -> Answer:
    found = evidence.sanity
    if found.not_finite:
        return Answer(Outcome.INCONCLUSIVE, f"{found.not_finite} rows have no finite forecast")
    if found.negative:
        return Answer(
            Outcome.REFUSED, f"{found.negative} forecasts are out of range (below 0, or a probability above 1)"
        )
    return _answer(
        found.different > 1,
        f"{found.different} different forecasts for {evidence.scored_rows} rows",
        f"{found.different} different forecasts",
        "more than 1, finite, in range",
    )


def _plausible_score(evidence: Evidence, policy: Policy) -> Answer:
    """A score far better than the naive forecast's suggests that the model has seen the target."""
    metric = policy.measure
    bound = metric.with_error(metric.error(evidence.baseline_score) * policy.min_share_of_naive)
    limit = (
        f"{metric.shown(bound)}, an error of {policy.min_share_of_naive:.0%} (gate.min_share_of_naive) of that of"
        f" {evidence.baseline}"
    )
    measured = f"{metric.label} {metric.shown(evidence.score)}"
    cells = (metric.shown(evidence.score), _side(metric, float(metric.shown(bound)), good=False))
    if metric.worse_by(evidence.score, bound) > 0:
        return Answer(Outcome.PASSED, f"{measured} is plausible: worse than {limit}", *cells)
    return Answer(
        Outcome.INCONCLUSIVE, f"{measured} is suspiciously good: not worse than {limit}; look for leakage", *cells
    )


def _no_data_leakage(evidence: Evidence, _: Policy) -> Answer:
    """Refused for features that use later targets; inconclusive if other rows gave the stored history."""
    if not evidence.uses_target_history:
        return Answer(Outcome.PASSED, "not needed: the features use no past targets")
    found = evidence.leakage
    if found is None:
        return Answer(Outcome.INCONCLUSIVE, "the prepared rows end before the last training period of the model")
    if not found.cutoff:
        return _no_leakage_without_time(found)
    if found.leaking_features:
        return Answer(
            Outcome.REFUSED,
            f"replacing targets after the training cutoff changes {_few(found.leaking_features)}:"
            " these features use future data",
            f"future data in {_few(found.leaking_features)}",
            NO_FUTURE,
        )
    if not found.features_using_history:
        return Answer(Outcome.INCONCLUSIVE, f"replacing all targets changes none of {found.tested_features} features")
    if found.history_mismatch:
        return Answer(
            Outcome.INCONCLUSIVE,
            f"{_few(found.history_mismatch)}, recomputed from the prepared rows up to {found.cutoff}, differ from the"
            " bundle: it was trained on other or later rows",
            f"{_few(found.history_mismatch)} differ from the prepared rows",
            SAME_ROWS,
        )
    return Answer(
        Outcome.PASSED,
        f"{found.features_using_history} of {found.tested_features} features depend on targets before the cutoff,"
        f" none on later targets; the stored history matches the data up to {found.cutoff}",
        f"0 of {found.tested_features} features use later targets",
        NO_FUTURE,
    )


def _no_leakage_without_time(found: "LeakageReport") -> Answer:
    """The same for a plain table and for states, whose training rows have no cutoff."""
    if found.leaking_features:
        return Answer(
            Outcome.REFUSED,
            f"{_few(found.leaking_features)} change with the target of their own row, or with later rows of their key",
            f"{_few(found.leaking_features)} use their own target",
            NO_OWN_TARGET,
        )
    if found.history_mismatch:
        return Answer(
            Outcome.INCONCLUSIVE,
            f"{_few(found.history_mismatch)}, recomputed from the prepared training rows, differ from the bundle:"
            " it was trained on other rows",
            f"{_few(found.history_mismatch)} differ from the prepared rows",
            SAME_ROWS,
        )
    return Answer(
        Outcome.PASSED,
        f"{found.features_using_history} of {found.tested_features} features depend on targets of training rows,"
        " none on the target of its own row or on later rows; the stored statistics match the training rows",
        f"0 of {found.tested_features} features use their own target",
        NO_OWN_TARGET,
    )


def _few(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


LEARNED: dict[bool | None, Answer] = {
    True: Answer(Outcome.PASSED, "trained on the prepared rows, of which no row is in the holdout"),
    False: Answer(
        Outcome.INCONCLUSIVE,
        "trained on other rows than the prepared ones, so it may have learned rows of this holdout",
    ),
    None: Answer(Outcome.PASSED, "not measured: there is no record of the rows on which this model was trained"),
}


def _holdout_unseen(evidence: Evidence, _: Policy) -> Answer:
    if evidence.holdout_from is None:
        return LEARNED[evidence.learned_rows]
    if evidence.trained_until is None:
        return Answer(
            Outcome.INCONCLUSIVE, f"the end of the training is unknown; the holdout begins on {evidence.holdout_from}"
        )
    return _answer(
        evidence.trained_until < evidence.holdout_from,  # type: ignore[operator]
        f"trained until {evidence.trained_until}, the holdout begins on {evidence.holdout_from}",
        f"trained until {evidence.trained_until}",
        f"before {evidence.holdout_from}",
    )


def _has_signature(evidence: Evidence, _: Policy) -> Answer:
    declares = "declares" if evidence.has_signature else "does not declare"
    return _answer(
        evidence.has_signature,
        f"the registered model {declares} its input and output columns",
        f"{declares} its columns",
        "declares its columns",
    )


def _row_and_batch_agree(evidence: Evidence, _: Policy) -> Answer:
    if not isfinite(evidence.batch_gap):
        return Answer(
            Outcome.INCONCLUSIVE, "single rows and the batch cannot be compared: some forecasts are not finite"
        )
    return _answer(
        evidence.batch_gap <= MAX_BATCH_GAP,
        f"a row alone and the same row in a batch differ by at most {evidence.batch_gap:.1e}, relative;"
        f" {MAX_BATCH_GAP:.0e} is allowed",
        f"relative difference {evidence.batch_gap:.1e}",
        f"at most {MAX_BATCH_GAP:.0e}",
    )


def _code_committed(evidence: Evidence, policy: Policy) -> Answer:
    if not policy.clean_tree_required:
        return Answer(
            Outcome.PASSED, "not required by the policy (gate.clean_tree_required: false)", "not required by the policy"
        )
    state = {True: "committed", False: "changed since the last commit", None: "of an unknown commit"}
    said = state[evidence.tree_clean]
    return _answer(evidence.tree_clean is True, f"the training code was {said}", said, "committed")


def _answer(good: bool, says: str, measured: str = "", limit: str = "") -> Answer:
    return Answer(Outcome.PASSED if good else Outcome.REFUSED, says, measured, limit)


def _is_measured(test: "PairedTest", metric: Metric) -> bool:
    scores = test.candidate_score, test.reference_score
    return all(map(metric.is_valid, scores)) and isfinite(test.difference.error)


CHECKS: dict[str, Callable[[Evidence, Policy], Answer]] = {
    VALID: _predictions_valid,
    WITHIN_LIMIT: _within_limit,
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
