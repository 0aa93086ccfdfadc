"""The gate lets through what every check passes, and nothing else."""

from dataclasses import replace
from datetime import date

import plain_tables
import pytest

from lockgate.evaluation.bootstrap import Difference
from lockgate.evaluation.leakage import LeakageReport
from lockgate.evaluation.paired_test import PairedTest, SliceDifference
from lockgate.gate import verdict
from lockgate.gate.checks import CHECKS
from lockgate.gate.evidence import Check, Evidence, ForecastSanity, HoldoutUse, NoEvidence, Outcome, ServingComparison
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Policy

POLICY = Policy(
    metric="rmspe",
    limit=0.10,
    over_serving=0.002,
    over_slice=0.005,
    min_gain_over_baseline=0.1,
    min_share_of_naive=0.3,
    min_scored_rows=1000,
    max_holdout_uses=100,
    max_holdout_days=365,
    verdict_valid_days=30,
    approval_required=False,
    two_persons=False,
    clean_tree_required=False,
    auto_promote=False,
    trusted_keys=[],
)
GOOD = Evidence(
    score=0.095,
    interval=(0.091, 0.099),
    baseline_score=0.145,
    scored_rows=40_000,
    serving=ServingComparison(1, "d", PairedTest(0.095, 0.096, 40_000, Difference(-0.001, 0.0005))),
    linear=PairedTest(0.095, 0.111, 40_000, Difference(-0.016, 0.001)),
    holdout_use=HoldoutUse(),
    holdout_from=date(2015, 5, 9),
    trained_until=date(2015, 5, 8),
    learned_rows=True,
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
    ("score", "expected"),
    [
        (0.0999999, Outcome.PASSED),
        (0.10, Outcome.REFUSED),
        (0.2, Outcome.REFUSED),
        (NAN, Outcome.INCONCLUSIVE),
        (INF, Outcome.INCONCLUSIVE),
        (-1.0, Outcome.INCONCLUSIVE),
    ],
)
def test_the_limit_is_strict_and_no_number_never_passes(score, expected):
    assert outcome(score=score) is expected


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
        ({"serving": serving_with(reference_score=NAN)}, Outcome.INCONCLUSIVE),
        ({"serving": serving_with(candidate_score=NAN)}, Outcome.INCONCLUSIVE),
        ({"serving": serving_with(rows=0, reference_score=NAN, candidate_score=NAN)}, Outcome.PASSED),
        ({"serving": serving_better_on((0.004, 0.0), (-0.1, 0.0))}, Outcome.PASSED),
        ({"serving": serving_better_on((0.0051, 0.0), (-0.1, 0.0))}, Outcome.REFUSED),
        ({"serving": serving_better_on((0.008, 0.0015))}, Outcome.REFUSED),
        ({"serving": serving_better_on((0.008, 0.0015), (0.0, 0.0))}, Outcome.PASSED),
        ({"serving": serving_better_on(left_out=("promo",))}, Outcome.PASSED),
        ({"baseline_score": 0.1056}, Outcome.PASSED),
        ({"baseline_score": 0.1055}, Outcome.REFUSED),
        ({"linear": None}, Outcome.PASSED),
        ({"linear": replace(GOOD.linear, difference=Difference(0.0, 0.0))}, Outcome.PASSED),
        ({"linear": replace(GOOD.linear, difference=Difference(0.001, 0.0006))}, Outcome.PASSED),
        ({"linear": replace(GOOD.linear, difference=Difference(0.001, 0.0005))}, Outcome.REFUSED),
        ({"linear": replace(GOOD.linear, reference_score=NAN)}, Outcome.INCONCLUSIVE),
        ({"linear": replace(GOOD.linear, difference=Difference(NAN, NAN))}, Outcome.INCONCLUSIVE),
        ({"holdout_use": HoldoutUse(99, 365)}, Outcome.PASSED),
        ({"holdout_use": HoldoutUse(100, 0)}, Outcome.INCONCLUSIVE),
        ({"holdout_use": HoldoutUse(0, 366)}, Outcome.INCONCLUSIVE),
        ({"baseline_score": NAN}, Outcome.INCONCLUSIVE),
        ({"scored_rows": 999}, Outcome.INCONCLUSIVE),
        ({"scored_rows": 1000}, Outcome.PASSED),
        ({"trained_until": date(2015, 5, 9)}, Outcome.REFUSED),
        ({"holdout_from": None, "trained_until": None}, Outcome.PASSED),
        ({"holdout_from": None, "trained_until": None, "learned_rows": None}, Outcome.PASSED),
        ({"holdout_from": None, "trained_until": None, "learned_rows": False}, Outcome.INCONCLUSIVE),
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
    ("score", "share", "expected"),
    [
        (0.0436, 0.3, Outcome.PASSED),
        (0.0435, 0.3, Outcome.INCONCLUSIVE),
        (0.001, 0.3, Outcome.INCONCLUSIVE),
        (0.001, 0.0, Outcome.PASSED),
        (0.0, 0.0, Outcome.INCONCLUSIVE),
    ],
)
def test_what_is_far_better_than_naive_is_not_believed(score, share, expected):
    """A naive RMSPE of 0.145 makes the floor of a share of 0.3 0.0435; no errors at all are never believed."""
    evidence = replace(GOOD, score=score, serving=None)
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


@pytest.mark.parametrize("name", Policy.model_fields)
def test_every_limit_is_part_of_the_policy(name):
    now = getattr(POLICY, name)
    other = {bool: not now, int: 7, float: 0.5, list: ["a key"], str: "mae"}[type(now)]
    assert verdict.policy_digest(POLICY) != verdict.policy_digest(POLICY.model_copy(update={name: other}))


@pytest.mark.parametrize(
    "changes",
    [
        {"slices": ["colour"]},
        {"slices": [{"column": "size", "bins": 4}]},
        {"slices": [{"column": "size", "bins": 5}]},
        {"split": {"by": "random", "share": 0.3}},
        {"split": {"by": "group", "column": "city"}},
        {"baseline": "group_median"},
        {"where": {"column": "flag", "equals": 1, "otherwise": 0.0}},
        {"where": {"column": "flag", "equals": 1, "otherwise": 1.0}},
        {"metric": "rmse"},
    ],
    ids=str,
)
def test_a_verdict_counts_only_for_the_slices_split_baseline_and_rows_under_which_it_was_given(changes):
    """The guard in Postgres compares the digests of policies."""
    given = verdict.policy_digest(plain_tables.params("regression").policy)
    assert verdict.policy_digest(plain_tables.params("regression", **changes).policy) != given


@pytest.mark.parametrize(
    "changes",
    [{"title": "things"}, {"split": {"by": "random"}}, {"baseline": "mean"}, {"members": "linear"}, {"slices": []}],
    ids=str,
)
def test_words_members_and_a_default_that_is_written_out_change_no_policy(changes):
    given = verdict.policy_digest(plain_tables.params("regression").policy)
    assert verdict.policy_digest(plain_tables.params("regression", **changes).policy) == given


def with_metric(name, **limits):
    return POLICY.model_copy(update={"metric": name} | limits)


def test_the_metric_is_part_of_the_policy():
    found = {verdict.policy_digest(with_metric(name)) for name in METRICS}
    assert len(found) == len(METRICS)


def measured_in(name, better_by):
    """Evidence in a metric, from a candidate that is better by this much than all that it is compared with."""
    metric = METRICS[name]
    reference = metric.worse_score(metric.perfect, 0.4)
    score = metric.worse_score(reference, -better_by)
    test = PairedTest(score, reference, 40_000, Difference(metric.worse_by(score, reference), 0.0001))
    part = SliceDifference("week", "1", 1000, test.difference)
    serving = ServingComparison(1, "d", replace(test, slices=(part,)))
    evidence = replace(
        GOOD, score=score, interval=(score, score), baseline_score=reference, serving=serving, linear=test
    )
    policy = with_metric(name, limit=reference, min_gain_over_baseline=0.05)
    return {check.name: check.outcome for check in verdict.judge(evidence, policy).checks}


COMPARING = (
    "within limit",
    "no worse than serving",
    "no slice worse than serving",
    "better than naive",
    "no worse than linear member",
)


@pytest.mark.parametrize("name", METRICS)
def test_a_better_candidate_passes_every_comparison_and_a_worse_one_is_refused_in_each_metric(name):
    """The scores are 0.3 and 0.5 against 0.4 for an error, and 0.7 and 0.5 against 0.6 for R2."""
    better, worse = measured_in(name, 0.1), measured_in(name, -0.1)
    assert {check: better[check] for check in COMPARING} == dict.fromkeys(COMPARING, Outcome.PASSED)
    assert {check: worse[check] for check in COMPARING} == dict.fromkeys(COMPARING, Outcome.REFUSED)


def test_the_checks_that_compare_are_those_that_turn_with_the_direction():
    better, worse = measured_in("r2", 0.1), measured_in("r2", -0.1)
    assert [name for name in CHECKS if better[name] is not worse[name]] == list(COMPARING)


@pytest.mark.parametrize("name", METRICS)
def test_a_score_far_better_than_naive_is_implausible_in_each_metric(name):
    assert measured_in(name, 0.39)["plausible score"] is Outcome.INCONCLUSIVE
    assert measured_in(name, -0.3)["plausible score"] is Outcome.PASSED


@pytest.mark.parametrize(("name", "score"), [("rmse", -0.1), ("r2", 1.1), ("r2", NAN)])
def test_a_score_better_than_perfect_is_no_score(name, score):
    assert verdict.judge(replace(GOOD, score=score), with_metric(name)).checks[1].outcome is Outcome.INCONCLUSIVE


def test_a_sentence_names_the_metric_and_says_worse_by_in_its_direction():
    test = PairedTest(0.8, 0.85, 500, Difference(0.05, 0.001))
    evidence = replace(GOOD, score=0.8, interval=(0.78, 0.82), baseline_score=0.7, linear=test, serving=None)
    assert says("no worse than linear member", with_metric("r2"), **vars(evidence)) == (
        Outcome.REFUSED,
        "R2 0.80000 against 0.85000 of the linear member alone, worse by +0.05000 (95 %: +0.04804 to +0.05196)",
    )
    assert says("within limit", with_metric("r2", limit=0.81), **vars(evidence)) == (
        Outcome.REFUSED,
        "R2 0.80000 (95 %: 0.78000 to 0.82000), limit 0.81 (gate.limit): worse by 0.01000; the interval includes the"
        " limit",
    )
    assert says("better than naive", with_metric("r2"), **vars(evidence))[1] == (
        "R2 0.80000, limit 0.75700: an error 10% (gate.min_gain_over_baseline) below that of the seasonal naive"
        " forecast (0.70000)"
    )
    assert says("within limit", with_metric("rmse", limit=650), score=612.3456, interval=(600.0, 630.0)) == (
        Outcome.PASSED,
        "RMSE 612.346 (95 %: 600 to 630), limit 650 (gate.limit)",
    )


def test_no_checks_never_pass():
    assert verdict.outcome_of(()) is Outcome.INCONCLUSIVE


def test_a_refusal_outweighs_a_doubt():
    checks = [Check("a", found, "") for found in (Outcome.INCONCLUSIVE, Outcome.REFUSED, Outcome.PASSED)]
    assert verdict.outcome_of(checks) is Outcome.REFUSED


def test_a_check_says_what_was_measured_what_is_allowed_and_which_key_holds_it():
    assert says("within limit") == (
        Outcome.PASSED,
        "RMSPE 0.09500 (95 %: 0.09100 to 0.09900), limit 0.1 (gate.limit)",
    )
    assert says("holdout unseen") == (Outcome.PASSED, "trained until 2015-05-08, the holdout begins on 2015-05-09")
    assert says("better than naive") == (
        Outcome.PASSED,
        "RMSPE 0.09500, limit 0.13050: an error 10% (gate.min_gain_over_baseline) below that of the seasonal naive"
        " forecast (0.14500)",
    )
    assert says("no worse than linear member") == (
        Outcome.PASSED,
        "RMSPE 0.09500 against 0.11100 of the linear member alone, worse by -0.01600 (95 %: -0.01796 to -0.01404)",
    )
    assert says("holdout not overused", holdout_use=HoldoutUse(4, 1)) == (
        Outcome.PASSED,
        "this holdout has judged 4 other versions in 1 day; fewer than 100 (gate.max_holdout_uses) in at most 365 days"
        " (gate.max_holdout_days) are allowed",
    )


def test_a_refused_score_says_by_how_much_and_whether_chance_could_explain_it():
    assert says("within limit", score=0.10615, interval=(0.098, 0.114)) == (
        Outcome.REFUSED,
        "RMSPE 0.10615 (95 %: 0.09800 to 0.11400), limit 0.1 (gate.limit): worse by 0.00615; the interval includes"
        " the limit",
    )
    assert says("within limit", score=0.2, interval=(0.18, 0.22))[1].endswith("does not include the limit")


def test_every_check_says_what_usually_helps():
    assert set(verdict.ADVICE) == set(CHECKS)


def test_a_verdict_shows_what_did_not_pass_first_then_the_scores_and_what_helps():
    found = verdict.judge(replace(GOOD, score=0.12, interval=(0.11, 0.13)), POLICY).as_json()
    metrics = {"rmspe": 0.12, "rmspe_naive": 0.145, "rmspe_linear": 0.125, "mae": 500.0, "rmspe_serving": NAN}
    lines = verdict.as_text("REFUSED: version 2 of rossmann-ensemble", found, metrics).splitlines()
    assert lines[0] == "REFUSED: version 2 of rossmann-ensemble"
    assert lines[1].startswith("  refused      within limit: ")
    assert lines[len(CHECKS) + 1] == (
        "  RMSPE        candidate 0.12000, linear member alone 0.12500, naive forecast 0.14500"
    )
    assert lines[-1].startswith("  what helps   within limit: see the inner folds first: build/scores.csv")


@pytest.mark.parametrize(
    ("metrics", "label", "scores"),
    [
        (
            {"rmspe": 0.08, "mae": 500.0, "bias": 0.01, "rmspe_naive": 0.15, "holdout_uses": 3.0},
            "RMSPE",
            [("candidate", "0.08000"), ("naive forecast", "0.15000")],
        ),
        ({"rmspe": 0.09}, "RMSPE", [("candidate", "0.09000")]),
        ({}, "RMSPE", []),
        (
            {"mae": 500.5, "mae_low": 480.0, "mae_high": 520.0, "mae_serving": 510.0, "bias": 0.0},
            "MAE",
            [("candidate", "500.5"), ("version in Production", "510")],
        ),
        (
            {"r2": 0.9, "r2_low": NAN, "mae": 500.5, "r2_linear": 0.8},
            "R2",
            [("candidate", "0.90000"), ("linear member alone", "0.80000")],
        ),
    ],
)
def test_a_stored_verdict_shows_the_metric_that_it_has_an_interval_of_and_an_old_one_rmspe(metrics, label, scores):
    assert (verdict.metric_of(metrics).label, verdict.scores(metrics)) == (label, scores)


def test_a_check_that_compares_with_a_limit_has_short_cells_for_a_table():
    found = verdict.judge(GOOD, POLICY).as_json()
    cells = {check["name"]: (check["measured"], check["limit"]) for check in found if check["limit"]}
    assert cells["within limit"] == ("0.09500 (0.09100 to 0.09900)", "below 0.1")
    assert cells["no worse than serving"] == ("better by 0.00100 (-0.00198 to -0.00002)", "at most 0.002")
    assert cells["better than naive"] == ("0.09500", "below 0.1305")
    assert cells["enough rows"] == ("40000 rows", "at least 1000")
    assert set(CHECKS) - set(cells) == {"no slice worse than serving", "code committed"}
    assert max(len(text) for pair in cells.values() for text in pair) < 60


def test_a_leak_is_refused_by_name_and_a_history_that_does_not_match_is_doubted_by_name():
    assert says("no data leakage")[1] == (
        "18 of 36 features depend on targets before the cutoff, none on later targets; the stored history matches the"
        " data up to 2015-05-08"
    )
    assert says("no data leakage", leakage=leaking(*"abcdefg")) == (
        Outcome.REFUSED,
        "replacing targets after the training cutoff changes a, b, c, d, e and 2 more: these features use future data",
    )
    assert says("no data leakage", leakage=replace(GOOD.leakage, history_mismatch=("ridge", "level_364"))) == (
        Outcome.INCONCLUSIVE,
        "ridge, level_364, recomputed from the prepared rows up to 2015-05-08, differ from the bundle: it was trained"
        " on other or later rows",
    )


def test_an_undecided_comparison_shows_its_interval_and_its_rows():
    assert says("no worse than serving", serving=serving_better_by(0.001, 0.001)) == (
        Outcome.INCONCLUSIVE,
        "RMSPE 0.09500 against 0.09600 of version 1 in Production, worse by +0.00100 (95 %: -0.00096 to +0.00296) on"
        " 40000 rows; at most 0.002 is allowed (gate.over_serving): the holdout is too small to decide",
    )


def test_the_slice_that_is_most_surely_worse_is_named_and_so_are_those_too_small_to_compare():
    """Week 2 is further off than week 1, but with less certainty; intervals are those of three comparisons at once."""
    found = serving_better_on((0.009, 0.001), (0.011, 0.004), (0.0, 0.0), left_out=("store type b", "assortment b"))
    assert says("no slice worse than serving", serving=found) == (
        Outcome.REFUSED,
        "the worst of 3 slices is week 1: RMSPE worse by +0.00900 (95 %: +0.00661 to +0.01139) on 1000 rows; refused if"
        " the whole interval is above 0.005 (gate.over_slice); too small to compare: store type b,"
        " assortment b",
    )
