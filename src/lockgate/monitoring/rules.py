"""The alert rules: each is good, fires, waits for truth, or is unknown. Pure.

A window with too few rows, or with a score that is no number, is unknown and never counts as good.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import isfinite

from lockgate.monitoring.drift import Drift
from lockgate.monitoring.requests import Requests
from lockgate.monitoring.scores import Score
from lockgate.problem.metrics import Metric
from lockgate.problem.params import CoverageRule, DriftRule, MonitorParams, WindowRule

ERRORS = "error rate"
FEATURES = "feature drift"


class State(StrEnum):
    """The state of a rule. `waiting`: no truth is known yet, which is no error."""

    OK = "ok"
    FIRING = "firing"
    WAITING = "waiting"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Ruled:
    """A rule with its state, what was measured, and whether it blames the version in Production when it fires."""

    name: str
    state: State
    says: str
    blames_version: bool = False


def of_windows(broken: Sequence[bool | None], rule: WindowRule) -> State:
    """The state by the last windows, the newest first; None is an unknown window.

    `ok` only if the rule would not fire, whatever the unknown windows were.
    """
    last = [*broken[: rule.windows], *[None] * (rule.windows - len(broken))]
    bad, unknown = last.count(True), last.count(None)
    if bad >= rule.bad:
        return State.FIRING
    return State.OK if bad + unknown < rule.bad else State.UNKNOWN


def on_metric(scores: Sequence[Score], metric: Metric, limit: float, params: MonitorParams) -> Ruled:
    """The score of the version in Production must be better than the limit."""
    rule = params.metric
    broken = [_worse(score, metric, limit, params.min_rows) for score in scores]
    state = _waiting(scores, of_windows(broken, rule))
    shown = ", ".join(
        "?" if bad is None else metric.shown(each.score) for bad, each in zip(broken, scores, strict=True)
    )
    says = f"{metric.label} by window, the newest first: {shown}; limit {metric.shown(limit)}; {_counts(broken, rule)}"
    return Ruled("metric", state, _no_truth(says, state), blames_version=True)


def _worse(score: Score, metric: Metric, limit: float, min_rows: int) -> bool | None:
    if score.rows < min_rows or not isfinite(score.score):
        return None
    return metric.worse_by(score.score, limit) >= 0  # the limit itself fails


def on_coverage(scores: Sequence[Score], params: MonitorParams) -> Ruled:
    """The share of truths within their bounds must not be far below the stated confidence."""
    rule = params.coverage
    broken = [_uncovered(score, rule, params.min_rows) for score in scores]
    state = _waiting(scores, of_windows(broken, rule))
    shown = ", ".join("?" if bad is None else f"{each.covered:.3f}" for bad, each in zip(broken, scores, strict=True))
    stated = next((f"{each.stated:.3g}" for each in scores if isfinite(each.stated)), "unknown")
    says = f"share within bounds by window: {shown}; stated {stated}, a window {rule.shortfall:g} below it is bad"
    return Ruled("coverage", state, _no_truth(f"{says}; {_counts(broken, rule)}", state), blames_version=True)


def _uncovered(score: Score, rule: CoverageRule, min_rows: int) -> bool | None:
    if score.bounded < min_rows or not isfinite(score.covered):
        return None
    return score.covered <= score.stated - rule.shortfall


def on_errors(requests: Sequence[Requests], params: MonitorParams) -> Ruled:
    """The share of requests without a forecast must be below the limit."""
    rule = params.errors
    broken = [None if each.asked < params.min_rows else each.share >= rule.limit for each in requests]
    shown = ", ".join("?" if bad is None else f"{each.share:.1%}" for bad, each in zip(broken, requests, strict=True))
    says = f"share of requests without a forecast by window: {shown}; limit {rule.limit:.1%}"
    return Ruled(ERRORS, of_windows(broken, rule), f"{says}; {_counts(broken, rule)}")


def on_drift(drifts: Sequence[Drift], rule: DriftRule, name: str = "drift", what: str = "column") -> Ruled:
    """The values that are asked now must have the distribution of the training rows."""
    broken = [each.broken for each in drifts]
    state = of_windows(broken, rule)
    names = dict.fromkeys(drifted for each in drifts[: rule.windows] for drifted in each.names)
    says = f"drifted: {', '.join(names)}" if names else f"no {what} has drifted"
    if all(each is None for each in broken[: rule.windows]):
        says = "too few rows were asked"
    return Ruled(name, state, f"{says}; {_counts(broken, rule)}")


def on_age(newest: datetime | None, now: datetime, params: MonitorParams) -> Ruled:
    """A new version must have been registered lately."""
    return _aged("new version", "the newest version was registered", newest, now, params.new_version_days)


def on_production_age(since: datetime | None, now: datetime, params: MonitorParams) -> Ruled:
    """The version in Production must not be there for too long."""
    return _aged("age of Production", "it is in Production since", since, now, params.production_days)


def _aged(name: str, what: str, moment: datetime | None, now: datetime, limit: int) -> Ruled:
    if moment is None:
        return Ruled(name, State.UNKNOWN, f"{what} at an unknown time")
    age = now - moment
    state = State.FIRING if age >= timedelta(days=limit) else State.OK
    days = f"{age.days} day{'' if age.days == 1 else 's'} ago"
    return Ruled(name, state, f"{what} {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {days}; limit {limit} days")


def _waiting(scores: Sequence[Score], state: State) -> State:
    """Unknown windows of rows whose truth has not come are waiting."""
    no_truth = not any(score.rows for score in scores) and any(score.waiting for score in scores)
    return State.WAITING if state is State.UNKNOWN and no_truth else state


def _no_truth(says: str, state: State) -> str:
    return "no truth is known yet" if state is State.WAITING else says


def _counts(broken: Sequence[bool | None], rule: WindowRule) -> str:
    last = list(broken[: rule.windows])
    unknown = last.count(None) + rule.windows - len(last)
    known = f"{last.count(True)} of {rule.windows} windows are bad" + (f", {unknown} unknown" if unknown else "")
    return f"{known}; {rule.bad} bad ones fire the rule"
