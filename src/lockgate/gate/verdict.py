"""The verdict: all checks of a candidate, the outcome that follows, and the texts that a reviewer reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lockgate import digests
from lockgate.gate.checks import CHECKS, VALID, WITHIN_LIMIT
from lockgate.gate.evidence import Check, Evidence, NoEvidence, Outcome
from lockgate.problem.metrics import METRICS, Metric
from lockgate.problem.params import Policy

# What usually helps, for each failed check.
ADVICE = {
    VALID: "see the training log and plots of the run; a broken feature often causes a constant or missing forecast",
    WITHIN_LIMIT: (
        "see the inner folds first: build/scores.csv, with a horizon also lockgate backtest; then more rows, other"
        " members or features;"
        " a looser gate.limit is a new policy, which needs a decision of the team"
    ),
    "no worse than serving": (
        "use a larger holdout (problem.split, or a longer horizon); lockgate compare shows where the two versions"
        " differ"
    ),
    "no slice worse than serving": "lockgate compare shows this slice; look at its rows in the plots of the run",
    "better than naive": "look for missing or wrong inputs: a model should beat a forecast without training",
    "no worse than linear member": "the boosters overfit: fewer rounds, a lower learning rate, or more rows",
    "plausible score": "look for leakage: a column that holds the target, or training rows in the holdout",
    "enough rows": "use a larger holdout (problem.split, or a longer problem.horizon), or add rows to data/raw",
    "no data leakage": (
        "train again on the prepared rows: dvc repro --force train; with a horizon, lockgate probe names the features"
    ),
    "holdout unseen": "train on the prepared rows: dvc repro; or, with a horizon, prepare a later holdout",
    "holdout not overused": (
        "get other rows to judge on: later periods, or new rows or keys in data/raw, then: dvc repro; a higher"
        " gate.max_holdout_uses selects more by chance"
    ),
    "signature present": "register the model with its signature",
    "row and batch agree": "a feature depends on the other rows of a request: compute it from the row and its key",
    "code committed": "commit the code, then: dvc repro",
}


@dataclass(frozen=True)
class Judgement:
    """All checks of one candidate, and the outcome of all of them."""

    outcome: Outcome
    checks: tuple[Check, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """The checks as plain values, in their order; the key `says` holds the message."""
        return [
            {"name": each.name, "outcome": each.outcome, "says": each.message}
            | {"measured": each.measured, "limit": each.limit}
            for each in self.checks
        ]


def judge(evidence: Evidence | NoEvidence, policy: Policy) -> Judgement:
    """Run every check.

    One refusal refuses the candidate; otherwise one inconclusive check, or none at all, is inconclusive.
    """
    if isinstance(evidence, NoEvidence):
        return Judgement(Outcome.INCONCLUSIVE, (Check(VALID, Outcome.INCONCLUSIVE, evidence.message),))
    checks = tuple(Check(name, *check(evidence, policy)) for name, check in CHECKS.items())
    return Judgement(outcome_of(checks), checks)


def outcome_of(checks: Sequence[Check]) -> Outcome:
    """The outcome of all checks together."""
    outcomes = {check.outcome for check in checks}
    if Outcome.REFUSED in outcomes:
        return Outcome.REFUSED
    return Outcome.PASSED if outcomes == {Outcome.PASSED} else Outcome.INCONCLUSIVE


def policy_digest(policy: Policy) -> str:
    """SHA-256 of the policy and the names of the checks; earlier verdicts count only under the same digest."""
    return digests.of_json({"limits": policy.model_dump(), "checks": list(CHECKS)})


def metric_of(metrics: Mapping[str, float]) -> Metric:
    """The metric that a stored verdict was decided in: the one with an interval.

    A verdict without an interval is of a release that knew RMSPE only.
    """
    return next((metric for name, metric in METRICS.items() if f"{name}_low" in metrics), METRICS["rmspe"])


def scores(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """The score of the candidate and of each forecast of the comparison, by name of the forecast."""
    metric = metric_of(metrics)
    names = {
        metric.name: "candidate",
        f"{metric.name}_serving": "version in Production",
        f"{metric.name}_linear": "linear member alone",
        f"{metric.name}_naive": "naive forecast",
        "noise_floor": "noise floor of the generated chain",
    }
    return [
        (name, metric.shown(metrics[key])) for key, name in names.items() if key in metrics and isfinite(metrics[key])
    ]


def advice(checks: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Name and advice for each failed check."""
    return [(check["name"], ADVICE[check["name"]]) for check in checks
            if check["outcome"] != Outcome.PASSED and check["name"] in ADVICE]  # fmt: skip


def as_text(heading: str, checks: Sequence[Mapping[str, Any]], metrics: Mapping[str, float]) -> str:
    """The verdict for a terminal: the outcome, the failed checks first, the scores, and the advice."""
    ordered = sorted(checks, key=lambda check: check["outcome"] == Outcome.PASSED)
    lines = [f"  {check['outcome']:<13}{check['name']}: {check['says']}" for check in ordered]
    compared = ", ".join(f"{name} {score}" for name, score in scores(metrics))
    helps = [f"  what helps   {name}: {text}" for name, text in advice(checks)]
    label = f"  {metric_of(metrics).label:<13}"
    return "\n".join([heading, *lines, *([label + compared] if compared else []), *helps])
