"""The gate lets through what every check passes, and nothing else."""

from dataclasses import replace
from datetime import date

import pytest

from lockgate.evaluation.bootstrap import Difference
from lockgate.evaluation.leakage import LeakageReport
from lockgate.evaluation.paired_test import PairedTest, SliceDifference
from lockgate.gate import verdict
from lockgate.gate.checks import CHECKS
from lockgate.gate.evidence import Check, Evidence, ForecastSanity, NoEvidence, Outcome, ServingComparison
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
    interval=(0.091, 0.099),
    baseline_rmspe=0.145,
    scored_rows=40_000,
    serving=ServingComparison(1, "d", PairedTest(0.095, 0.096, 40_000, Difference(-0.001, 0.0005))),
    linear=PairedTest(0.095, 0.111, 40_000, Difference(-0.016, 0.001)),
    holdout_uses=0,
    holdout_from=date(2015, 5, 9),
    trained_until=date(2015, 5, 8),
    has_signature=True,
    batch_gap=0.0,
    sanity=ForecastSanity(not_finite=0, negative=0, different=39_000),
    tree_clean=None,
    leakage=LeakageReport((), 36, 18, (), "2015-05-08"),
    uses_target_history=True,
)
NAN, INF = float("nan"), float("inf")


def outcome(**changes):
    return verdict.judge(replace(GOOD, **changes), POLICY).outcome


def serving_with(**changes):
    return replace(GOOD.serving, paired_test=replace(GOOD.serving.paired_test, **changes))


def serving_better_by(value, error):
    """The serving version is better by `value`; the 95 % interval reaches 1.96 times `error` to both sides."""
    return serving_with(difference=Difference(value, error))


def serving_better_on(*slices, left_out=()):
    """As good overall; on slices of 1000 rows the serving version is better by (value, error)."""
    found = tuple(SliceDifference("week", str(n), 1000, Difference(*each)) for n, each in enumerate(slices, start=1))
    return serving_with(slices=found, left_out=left_out)


def says(name, policy=POLICY, **changes):
    checks = verdict.judge(replace(GOOD, **changes), policy).checks
    return next((check.outcome, check.message) for check in checks if check.name == name)


def leaking(*names):
    return replace(GOOD.leakage, leaking_features=names)


def test_good_evidence_passes_every_check():
    judgement = verdict.judge(GOOD, POLICY)
    assert judgement.outcome is Outcome.PASSED
    assert [check.name for check in judgement.checks] == list(CHECKS)


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
        ({"serving": None}, Outcome.PASSED),
        ({"serving": serving_better_by(0.0, 0.0)}, Outcome.PASSED),
        ({"serving": serving_better_by(0.002, 0.0)}, Outcome.PASSED),
        ({"serving": serving_better_by(0.0021, 0.0)}, Outcome.REFUSED),
        ({"serving": serving_better_by(0.001, 0.0005)}, Outcome.PASSED),
        ({"serving": serving_better_by(0.001, 0.0006)}, Outcome.INCONCLUSIVE),
        ({"serving": serving_better_by(-0.001, 0.002)}, Outcome.INCONCLUSIVE),
        ({"serving": serving_better_by(0.003, 0.0006)}, Outcome.INCONCLUSIVE),
        ({"serving": serving_better_by(0.003, 0.0005)}, Outcome.REFUSED),
        ({"serving": serving_better_by(NAN, NAN)}, Outcome.INCONCLUSIVE),
        ({"serving": serving_with(reference_rmspe=NAN)}, Outcome.INCONCLUSIVE),
        ({"serving": serving_with(candidate_rmspe=NAN)}, Outcome.INCONCLUSIVE),
        ({"serving": serving_with(rows=0, reference_rmspe=NAN, candidate_rmspe=NAN)}, Outcome.PASSED),
        ({"serving": serving_better_on((0.004, 0.0), (-0.1, 0.0))}, Outcome.PASSED),
        ({"serving": serving_better_on((0.0051, 0.0), (-0.1, 0.0))}, Outcome.REFUSED),
        ({"serving": serving_better_on((0.008, 0.0015))}, Outcome.REFUSED),
        ({"serving": serving_better_on((0.008, 0.0015), (0.0, 0.0))}, Outcome.PASSED),
        ({"serving": serving_better_on(left_out=("promo",))}, Outcome.PASSED),
        ({"baseline_rmspe": 0.1056}, Outcome.PASSED),
        ({"baseline_rmspe": 0.1055}, Outcome.REFUSED),
        ({"linear": None}, Outcome.PASSED),
        ({"linear": replace(GOOD.linear, difference=Difference(0.0, 0.0))}, Outcome.PASSED),
        ({"linear": replace(GOOD.linear, difference=Difference(0.001, 0.0006))}, Outcome.PASSED),
        ({"linear": replace(GOOD.linear, difference=Difference(0.001, 0.0005))}, Outcome.REFUSED),
        ({"linear": replace(GOOD.linear, reference_rmspe=NAN)}, Outcome.INCONCLUSIVE),
        ({"linear": replace(GOOD.linear, difference=Difference(NAN, NAN))}, Outcome.INCONCLUSIVE),
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
        ({"sanity": ForecastSanity(not_finite=1, negative=0, different=39_000)}, Outcome.INCONCLUSIVE),
        ({"sanity": ForecastSanity(not_finite=0, negative=1, different=39_000)}, Outcome.REFUSED),
        ({"sanity": ForecastSanity(not_finite=0, negative=0, different=1)}, Outcome.REFUSED),
        ({"sanity": ForecastSanity(not_finite=0, negative=0, different=2)}, Outcome.PASSED),
        ({"leakage": leaking("ridge")}, Outcome.REFUSED),
        ({"leakage": replace(leaking("ridge"), history_mismatch=("ridge",))}, Outcome.REFUSED),
        ({"leakage": replace(GOOD.leakage, features_using_history=0)}, Outcome.INCONCLUSIVE),
        ({"leakage": replace(GOOD.leakage, history_mismatch=("level_364",))}, Outcome.INCONCLUSIVE),
        ({"leakage": None}, Outcome.INCONCLUSIVE),
        ({"leakage": None, "uses_target_history": False}, Outcome.PASSED),
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
    evidence = replace(GOOD, rmspe=rmspe, serving=None)
    assert verdict.judge(evidence, POLICY.model_copy(update={"min_share_of_naive": share})).outcome is expected


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
    assert verdict.judge(replace(GOOD, tree_clean=tree_clean), policy).outcome is expected


def test_a_candidate_that_gave_no_forecasts_is_inconclusive_and_the_verdict_says_why():
    judgement = verdict.judge(NoEvidence("its process was ended by SIGSEGV"), POLICY)
    assert (judgement.outcome, [check.message for check in judgement.checks]) == (
        Outcome.INCONCLUSIVE,
        ["its process was ended by SIGSEGV"],
    )


@pytest.mark.parametrize("name", GateParams.model_fields)
def test_every_limit_is_part_of_the_policy(name):
    now = getattr(POLICY, name)
    other = {bool: not now, int: 7, float: 0.5, list: ["a key"]}[type(now)]
    assert verdict.policy_digest(POLICY) != verdict.policy_digest(POLICY.model_copy(update={name: other}))


def test_no_checks_never_pass():
    assert verdict.outcome_of(()) is Outcome.INCONCLUSIVE


def test_a_refusal_outweighs_a_doubt():
    checks = [Check("a", found, "") for found in (Outcome.INCONCLUSIVE, Outcome.REFUSED, Outcome.PASSED)]
    assert verdict.outcome_of(checks) is Outcome.REFUSED


def test_a_check_says_what_was_measured_what_is_allowed_and_which_key_holds_it():
    assert says("rmspe below limit") == (
        Outcome.PASSED,
        "RMSPE 0.09500 (95 %: 0.09100 to 0.09900), limit 0.1 (gate.max_rmspe)",
    )
    assert says("holdout unseen") == (Outcome.PASSED, "trained until 2015-05-08, the holdout begins on 2015-05-09")
    assert says("better than naive") == (
        Outcome.PASSED,
        "RMSPE 0.09500, limit 0.13050: 10% (gate.min_gain_over_baseline) below the 0.14500 of the seasonal naive"
        " forecast",
    )
    assert says("no worse than linear member") == (
        Outcome.PASSED,
        "RMSPE 0.09500 against 0.11100 of the linear member alone: -0.01600 (95 %: -0.01796 to -0.01404)",
    )
    assert says("holdout not overused", holdout_uses=4) == (
        Outcome.PASSED,
        "this holdout has judged 4 other versions; fewer than 100 are allowed (gate.max_holdout_uses)",
    )


def test_a_refused_score_says_by_how_much_and_whether_chance_could_explain_it():
    assert says("rmspe below limit", rmspe=0.10615, interval=(0.098, 0.114)) == (
        Outcome.REFUSED,
        "RMSPE 0.10615 (95 %: 0.09800 to 0.11400), limit 0.1 (gate.max_rmspe): 0.00615 or 6.1% too high; the interval"
        " includes the limit",
    )
    assert says("rmspe below limit", rmspe=0.2, interval=(0.18, 0.22))[1].endswith("does not include the limit")


def test_every_check_says_what_usually_helps():
    assert set(verdict.ADVICE) == set(CHECKS)


def test_a_verdict_shows_what_did_not_pass_first_then_the_scores_and_what_helps():
    found = verdict.judge(replace(GOOD, rmspe=0.12, interval=(0.11, 0.13)), POLICY).as_json()
    metrics = {"rmspe": 0.12, "rmspe_naive": 0.145, "rmspe_ridge": 0.125, "mae": 500.0, "rmspe_serving": NAN}
    lines = verdict.as_text("REFUSED: version 2 of rossmann-ensemble", found, metrics).splitlines()
    assert lines[0] == "REFUSED: version 2 of rossmann-ensemble"
    assert lines[1].startswith("  refused      rmspe below limit: ")
    assert lines[len(CHECKS) + 1] == (
        "  RMSPE        candidate 0.12000, linear member alone 0.12500, seasonal naive forecast 0.14500"
    )
    assert lines[-1].startswith("  what helps   rmspe below limit: compare other windows first: lockgate backtest")


def test_a_page_shows_one_line_and_then_tables():
    found = verdict.judge(replace(GOOD, rmspe=0.12, interval=(0.11, 0.13)), POLICY).as_json()
    lines = verdict.as_markdown("Verdict 5 on version 1: **REFUSED**", found, {"rmspe": 0.12}).splitlines()
    assert lines[:4] == [
        "Verdict 5 on version 1: **REFUSED**",
        "",
        "| check | outcome | measured |",
        "| --- | --- | --- |",
    ]
    assert lines[4].startswith("| rmspe below limit | **refused** | RMSPE 0.12000")
    assert "| candidate | 0.12000 |" in lines
    assert lines[-2:] == ["| --- | --- |", f"| rmspe below limit | {verdict.ADVICE['rmspe below limit']} |"]


def test_a_leak_is_refused_by_name_and_a_history_that_does_not_match_is_doubted_by_name():
    assert says("no data leakage")[1] == (
        "18 of 36 features depend on sales before the cutoff, none on later sales; the stored history matches the data"
        " up to 2015-05-08"
    )
    assert says("no data leakage", leakage=leaking(*"abcdefg")) == (
        Outcome.REFUSED,
        "replacing sales after the training cutoff changes a, b, c, d, e and 2 more: these features use future data",
    )
    assert says("no data leakage", leakage=replace(GOOD.leakage, history_mismatch=("ridge", "level_364"))) == (
        Outcome.INCONCLUSIVE,
        "ridge, level_364, recomputed from the prepared rows up to 2015-05-08, differ from the bundle: it was trained"
        " on other or later rows",
    )


def test_an_undecided_comparison_shows_its_interval_and_its_rows():
    assert says("no worse than serving", serving=serving_better_by(0.001, 0.001)) == (
        Outcome.INCONCLUSIVE,
        "RMSPE 0.09500 against 0.09600 of version 1 in Production: +0.00100 (95 %: -0.00096 to +0.00296) on 40000 rows;"
        " at most 0.002 is allowed (gate.max_rmspe_over_serving): the holdout is too small to decide",
    )


def test_the_slice_that_is_most_surely_worse_is_named_and_so_are_those_too_small_to_compare():
    """Week 2 is further off than week 1, but with less certainty; intervals are those of three comparisons at once."""
    found = serving_better_on((0.009, 0.001), (0.011, 0.004), (0.0, 0.0), left_out=("store type b", "assortment b"))
    assert says("no slice worse than serving", serving=found) == (
        Outcome.REFUSED,
        "the worst of 3 slices is week 1: RMSPE +0.00900 (95 %: +0.00661 to +0.01139) on 1000 rows; refused if the"
        " whole interval is above 0.005 (gate.max_slice_over_serving); too small to compare: store type b,"
        " assortment b",
    )
