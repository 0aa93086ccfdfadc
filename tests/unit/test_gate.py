"""The gate lets through what every check passes, and nothing else."""

from dataclasses import replace
from datetime import date

import pytest

from lockgate.evaluation.bootstrap import Difference
from lockgate.evaluation.leakage import LeakageReport
from lockgate.evaluation.paired_test import Contest, Slice
from lockgate.gate import checks as gate_checks
from lockgate.gate.checks import Check, Evidence, NoEvidence, Numbers, Outcome, Rival
from lockgate.problem.params import GateParams

POLICY = GateParams(
    max_rmspe=0.10,
    max_rmspe_over_serving=0.002,
    max_slice_over_serving=0.005,
    min_gain_over_baseline=0.1,
    min_share_of_naive=0.3,
    min_scored_rows=1000,
    max_holdout_uses=100,
    verdict_valid_days=30,
    approval_required=False,
    two_persons=False,
    clean_tree_required=False,
    trusted_keys=[],
)
GOOD = Evidence(
    rmspe=0.095,
    baseline_rmspe=0.145,
    scored_rows=40_000,
    rival=Rival(1, "d", Contest(0.095, 0.096, 40_000, Difference(-0.001, 0.0005))),
    ridge=Contest(0.095, 0.111, 40_000, Difference(-0.016, 0.001)),
    holdout_uses=0,
    holdout_from=date(2015, 5, 9),
    trained_until=date(2015, 5, 8),
    has_signature=True,
    batch_gap=0.0,
    numbers=Numbers(not_finite=0, negative=0, different=39_000),
    tree_clean=None,
    hindsight=LeakageReport((), 36, 18, (), "2015-05-08"),
    needs_sales=True,
)
NAN, INF = float("nan"), float("inf")


def outcome(**changes):
    return gate_checks.judge(replace(GOOD, **changes), POLICY).outcome


def rival(**changes):
    return replace(GOOD.rival, contest=replace(GOOD.rival.contest, **changes))


def rival_at(value, error):
    """The serving version is better by `value`; the 95 % interval reaches 1.96 times `error` to both sides."""
    return rival(difference=Difference(value, error))


def rival_on(*slices, left_out=()):
    """As good overall; on slices of 1000 rows the serving version is better by (value, error)."""
    found = tuple(Slice(f"week {n}", 1000, Difference(*each)) for n, each in enumerate(slices, start=1))
    return rival(slices=found, left_out=left_out)


def says(name, policy=POLICY, **changes):
    checks = gate_checks.judge(replace(GOOD, **changes), policy).checks
    return next((check.outcome, check.says) for check in checks if check.name == name)


def leaking(*names):
    return replace(GOOD.hindsight, leaking_features=names)


def test_good_evidence_passes_every_check():
    judgement = gate_checks.judge(GOOD, POLICY)
    assert judgement.outcome is Outcome.PASSED
    assert [check.name for check in judgement.checks] == list(gate_checks.CHECKS)


@pytest.mark.parametrize(
    ("rmspe", "expected"),
    [
        (0.0999999, Outcome.PASSED),
        (0.10, Outcome.REFUSED),
        (0.2, Outcome.REFUSED),
        (NAN, Outcome.INCONCLUSIVE),
        (INF, Outcome.INCONCLUSIVE),
        (-1.0, Outcome.INCONCLUSIVE),
    ],
)
def test_the_limit_is_strict_and_no_number_never_passes(rmspe, expected):
    assert outcome(rmspe=rmspe) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rival": None}, Outcome.PASSED),
        ({"rival": rival_at(0.0, 0.0)}, Outcome.PASSED),
        ({"rival": rival_at(0.002, 0.0)}, Outcome.PASSED),
        ({"rival": rival_at(0.0021, 0.0)}, Outcome.REFUSED),
        ({"rival": rival_at(0.001, 0.0005)}, Outcome.PASSED),
        ({"rival": rival_at(0.001, 0.0006)}, Outcome.INCONCLUSIVE),
        ({"rival": rival_at(-0.001, 0.002)}, Outcome.INCONCLUSIVE),
        ({"rival": rival_at(0.003, 0.0006)}, Outcome.INCONCLUSIVE),
        ({"rival": rival_at(0.003, 0.0005)}, Outcome.REFUSED),
        ({"rival": rival_at(NAN, NAN)}, Outcome.INCONCLUSIVE),
        ({"rival": rival(theirs=NAN)}, Outcome.INCONCLUSIVE),
        ({"rival": rival(ours=NAN)}, Outcome.INCONCLUSIVE),
        ({"rival": rival(rows=0, theirs=NAN, ours=NAN)}, Outcome.PASSED),
        ({"rival": rival_on((0.004, 0.0), (-0.1, 0.0))}, Outcome.PASSED),
        ({"rival": rival_on((0.0051, 0.0), (-0.1, 0.0))}, Outcome.REFUSED),
        ({"rival": rival_on((0.008, 0.0015))}, Outcome.REFUSED),
        ({"rival": rival_on((0.008, 0.0015), (0.0, 0.0))}, Outcome.PASSED),
        ({"rival": rival_on(left_out=("promo",))}, Outcome.PASSED),
        ({"baseline_rmspe": 0.1056}, Outcome.PASSED),
        ({"baseline_rmspe": 0.1055}, Outcome.REFUSED),
        ({"ridge": None}, Outcome.PASSED),
        ({"ridge": replace(GOOD.ridge, difference=Difference(0.0, 0.0))}, Outcome.PASSED),
        ({"ridge": replace(GOOD.ridge, difference=Difference(0.001, 0.0006))}, Outcome.PASSED),
        ({"ridge": replace(GOOD.ridge, difference=Difference(0.001, 0.0005))}, Outcome.REFUSED),
        ({"ridge": replace(GOOD.ridge, theirs=NAN)}, Outcome.INCONCLUSIVE),
        ({"ridge": replace(GOOD.ridge, difference=Difference(NAN, NAN))}, Outcome.INCONCLUSIVE),
        ({"holdout_uses": 99}, Outcome.PASSED),
        ({"holdout_uses": 100}, Outcome.INCONCLUSIVE),
        ({"baseline_rmspe": NAN}, Outcome.INCONCLUSIVE),
        ({"scored_rows": 999}, Outcome.INCONCLUSIVE),
        ({"scored_rows": 1000}, Outcome.PASSED),
        ({"trained_until": date(2015, 5, 9)}, Outcome.REFUSED),
        ({"has_signature": False}, Outcome.REFUSED),
        ({"batch_gap": 1e-6}, Outcome.REFUSED),
        ({"batch_gap": NAN}, Outcome.INCONCLUSIVE),
        ({"trained_until": None}, Outcome.INCONCLUSIVE),
        ({"numbers": Numbers(not_finite=1, negative=0, different=39_000)}, Outcome.INCONCLUSIVE),
        ({"numbers": Numbers(not_finite=0, negative=1, different=39_000)}, Outcome.REFUSED),
        ({"numbers": Numbers(not_finite=0, negative=0, different=1)}, Outcome.REFUSED),
        ({"numbers": Numbers(not_finite=0, negative=0, different=2)}, Outcome.PASSED),
        ({"hindsight": leaking("ridge")}, Outcome.REFUSED),
        ({"hindsight": replace(leaking("ridge"), history_mismatch=("ridge",))}, Outcome.REFUSED),
        ({"hindsight": replace(GOOD.hindsight, features_using_history=0)}, Outcome.INCONCLUSIVE),
        ({"hindsight": replace(GOOD.hindsight, history_mismatch=("level_364",))}, Outcome.INCONCLUSIVE),
        ({"hindsight": None}, Outcome.INCONCLUSIVE),
        ({"hindsight": None, "needs_sales": False}, Outcome.PASSED),
    ],
)
def test_each_check_decides(changes, expected):
    assert outcome(**changes) is expected


@pytest.mark.parametrize(
    ("rmspe", "share", "expected"),
    [
        (0.0436, 0.3, Outcome.PASSED),
        (0.0435, 0.3, Outcome.INCONCLUSIVE),
        (0.001, 0.3, Outcome.INCONCLUSIVE),
        (0.001, 0.0, Outcome.PASSED),
        (0.0, 0.0, Outcome.INCONCLUSIVE),
    ],
)
def test_what_is_far_better_than_naive_is_not_believed(rmspe, share, expected):
    """A naive RMSPE of 0.145 makes the floor of a share of 0.3 0.0435; no errors at all are never believed."""
    evidence = replace(GOOD, rmspe=rmspe, rival=None)
    assert gate_checks.judge(evidence, POLICY.model_copy(update={"min_share_of_naive": share})).outcome is expected


@pytest.mark.parametrize(
    ("required", "tree_clean", "expected"),
    [
        (False, None, Outcome.PASSED),
        (False, False, Outcome.PASSED),
        (True, True, Outcome.PASSED),
        (True, False, Outcome.REFUSED),
        (True, None, Outcome.REFUSED),
    ],
)
def test_uncommitted_code_is_refused_where_the_policy_asks(required, tree_clean, expected):
    policy = POLICY.model_copy(update={"clean_tree_required": required})
    assert gate_checks.judge(replace(GOOD, tree_clean=tree_clean), policy).outcome is expected


def test_a_candidate_that_gave_no_forecasts_is_inconclusive_and_the_verdict_says_why():
    judgement = gate_checks.judge(NoEvidence("its process was ended by SIGSEGV"), POLICY)
    assert (judgement.outcome, [check.says for check in judgement.checks]) == (
        Outcome.INCONCLUSIVE,
        ["its process was ended by SIGSEGV"],
    )


@pytest.mark.parametrize("name", GateParams.model_fields)
def test_every_limit_is_part_of_the_policy(name):
    now = getattr(POLICY, name)
    other = {bool: not now, int: 7, float: 0.5, list: ["a key"]}[type(now)]
    assert gate_checks.policy_digest(POLICY) != gate_checks.policy_digest(POLICY.model_copy(update={name: other}))


def test_no_checks_never_pass():
    assert gate_checks.outcome_of(()) is Outcome.INCONCLUSIVE


def test_a_refusal_outweighs_a_doubt():
    checks = [Check("a", found, "") for found in (Outcome.INCONCLUSIVE, Outcome.REFUSED, Outcome.PASSED)]
    assert gate_checks.outcome_of(checks) is Outcome.REFUSED


def test_a_check_says_what_was_measured_and_what_was_asked():
    assert says("rmspe under the limit") == (Outcome.PASSED, "RMSPE 0.09500, must be below 0.1")
    assert says("holdout unseen") == (Outcome.PASSED, "trained until 2015-05-08, the holdout begins on 2015-05-09")
    assert says("better than naive") == (
        Outcome.PASSED,
        "RMSPE 0.09500, must be below 0.13050: the seasonal naive forecast has 0.14500",
    )
    assert says("no worse than its ridge") == (
        Outcome.PASSED,
        "RMSPE 0.09500 against 0.11100 of its ridge alone: -0.01600 (95 %: -0.01796 to -0.01404)",
    )
    assert says("holdout not worn out", holdout_uses=4) == (
        Outcome.PASSED,
        "this holdout has judged 4 other versions, it may judge 100",
    )


def test_a_leak_is_refused_by_name_and_a_past_that_does_not_fit_is_doubted_by_name():
    assert says("no leaking feature")[1] == (
        "of 36 features, 18 move with sales up to an origin and none with later ones; the past that it remembers is"
        " that of the rows until 2015-05-08"
    )
    assert says("no leaking feature", hindsight=leaking(*"abcdefg")) == (
        Outcome.REFUSED,
        "noise in place of the sales after its origin moves a, b, c, d, e and 2 more",
    )
    assert says("no leaking feature", hindsight=replace(GOOD.hindsight, history_mismatch=("ridge", "level_364"))) == (
        Outcome.INCONCLUSIVE,
        "the prepared rows until 2015-05-08 give ridge, level_364 otherwise than it remembers: it has learned from"
        " other rows, or from later ones",
    )


def test_an_undecided_comparison_tells_its_interval_and_its_rows():
    assert says("no worse than serving", rival=rival_at(0.001, 0.001)) == (
        Outcome.INCONCLUSIVE,
        "RMSPE 0.09500 against 0.09600 of version 1: +0.00100 (95 %: -0.00096 to +0.00296) on 40000 rows, may be 0.002:"
        " these rows do not tell",
    )


def test_the_slice_that_is_most_surely_worse_is_named_and_so_are_those_too_small_to_tell():
    """Week 2 is further off than week 1, but with less certainty; intervals are those of three comparisons at once."""
    found = rival_on((0.009, 0.001), (0.011, 0.004), (0.0, 0.0), left_out=("store type b", "assortment b"))
    assert says("no slice worse than serving", rival=found) == (
        Outcome.REFUSED,
        "the worst of 3 is week 1: RMSPE +0.00900 (95 %: +0.00661 to +0.01139) on 1000 rows, refused if all above"
        " 0.005; too small to tell: store type b, assortment b",
    )
