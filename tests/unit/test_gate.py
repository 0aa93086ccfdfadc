"""The gate lets through what every check passes, and nothing else."""

from dataclasses import replace
from datetime import date

import pytest

from lockgate import gate
from lockgate.gate import Check, Evidence, NoEvidence, Numbers, Outcome, Rival
from lockgate.params import GateParams

POLICY = GateParams(
    max_rmspe=0.10,
    max_rmspe_over_serving=0.002,
    min_share_of_naive=0.3,
    min_scored_rows=1000,
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
    rival=Rival(version=1, digest="d", rmspe=0.096, candidate_rmspe=0.095, rows=40_000),
    holdout_from=date(2015, 5, 9),
    trained_until=date(2015, 5, 8),
    has_signature=True,
    batch_gap=0.0,
    numbers=Numbers(not_finite=0, negative=0, different=39_000),
    tree_clean=None,
)
NAN, INF = float("nan"), float("inf")


def outcome(**changes):
    return gate.judge(replace(GOOD, **changes), POLICY).outcome


def rival(**changes):
    return replace(GOOD.rival, **changes)


def test_good_evidence_passes_every_check():
    judgement = gate.judge(GOOD, POLICY)
    assert judgement.outcome is Outcome.PASSED
    assert [check.name for check in judgement.checks] == list(gate.CHECKS)


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
        ({"rival": rival(candidate_rmspe=0.098, rmspe=0.096)}, Outcome.PASSED),
        ({"rival": rival(candidate_rmspe=0.0981, rmspe=0.096)}, Outcome.REFUSED),
        ({"rival": rival(rmspe=NAN)}, Outcome.INCONCLUSIVE),
        ({"rival": rival(candidate_rmspe=NAN)}, Outcome.INCONCLUSIVE),
        ({"rival": rival(rows=0, rmspe=NAN, candidate_rmspe=NAN)}, Outcome.PASSED),
        ({"baseline_rmspe": 0.095}, Outcome.REFUSED),
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
    assert gate.judge(evidence, POLICY.model_copy(update={"min_share_of_naive": share})).outcome is expected


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
    assert gate.judge(replace(GOOD, tree_clean=tree_clean), policy).outcome is expected


def test_a_candidate_that_gave_no_forecasts_is_inconclusive_and_the_verdict_says_why():
    judgement = gate.judge(NoEvidence("its process was ended by SIGSEGV"), POLICY)
    assert (judgement.outcome, [check.says for check in judgement.checks]) == (
        Outcome.INCONCLUSIVE,
        ["its process was ended by SIGSEGV"],
    )


@pytest.mark.parametrize("name", GateParams.model_fields)
def test_every_limit_is_part_of_the_policy(name):
    now = getattr(POLICY, name)
    other = {bool: not now, int: 7, float: 0.5, list: ["a key"]}[type(now)]
    assert gate.policy_digest(POLICY) != gate.policy_digest(POLICY.model_copy(update={name: other}))


def test_no_checks_never_pass():
    assert gate.outcome_of(()) is Outcome.INCONCLUSIVE


def test_a_refusal_outweighs_a_doubt():
    checks = [Check("a", found, "") for found in (Outcome.INCONCLUSIVE, Outcome.REFUSED, Outcome.PASSED)]
    assert gate.outcome_of(checks) is Outcome.REFUSED


def test_a_check_says_what_was_measured_and_what_was_asked():
    says = {check.name: check.says for check in gate.judge(GOOD, POLICY).checks}
    assert says["rmspe under the limit"] == "RMSPE 0.09500, must be below 0.1"
    assert says["holdout unseen"] == "trained until 2015-05-08, the holdout begins on 2015-05-09"
