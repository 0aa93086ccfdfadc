"""The gate lets through what every check passes, and nothing else."""

from dataclasses import replace
from datetime import date

import pytest

from lockgate import gate
from lockgate.gate import Check, Evidence, Outcome, Rival
from lockgate.params import GateParams

POLICY = GateParams(
    max_rmspe=0.10,
    max_rmspe_over_serving=0.002,
    min_scored_rows=1000,
    verdict_valid_days=30,
    approval_required=False,
    two_persons=False,
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
        ({"batch_gap": NAN}, Outcome.REFUSED),
    ],
)
def test_each_check_decides(changes, expected):
    assert outcome(**changes) is expected


def test_no_checks_never_pass():
    assert gate.outcome_of(()) is Outcome.INCONCLUSIVE


def test_a_refusal_outweighs_a_doubt():
    checks = [Check("a", found, "") for found in (Outcome.INCONCLUSIVE, Outcome.REFUSED, Outcome.PASSED)]
    assert gate.outcome_of(checks) is Outcome.REFUSED


def test_another_limit_is_another_policy():
    assert gate.policy_digest(POLICY) != gate.policy_digest(POLICY.model_copy(update={"max_rmspe": 0.11}))


def test_a_check_says_what_was_measured_and_what_was_asked():
    says = {check.name: check.says for check in gate.judge(GOOD, POLICY).checks}
    assert says["rmspe under the limit"] == "RMSPE 0.09500, must be below 0.1"
    assert says["holdout unseen"] == "trained until 2015-05-08, the holdout begins on 2015-05-09"
