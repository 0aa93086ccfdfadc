"""Answers of `lockgate serve` and the prediction log: each rule can fail, and faults break none of them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chaos import answers, serving
from chaos.answers import RULES, Acknowledged, Answers, Stored
from chaos.scene import Scene

COMPUTED = {1: (10.0, 11.0, 12.0), 2: (20.0, 21.0, 22.0)}
ROUNDS = len(serving.ROUNDS)


def honest() -> Answers:
    """Two requests, answered by two versions; the second server began in an outage. One answer did not arrive."""
    told = [
        Acknowledged("a", 1, range(2), (10.0, 11.0), degraded=False, server=1),
        Acknowledged("b", 2, range(2, 3), (22.0,), degraded=True, server=2),
    ]
    stored = [
        Stored("a", 0, "served", 1, 10.0, degraded=False),
        Stored("a", 1, "served", 1, 11.0, degraded=False),
        Stored("b", 0, "served", 2, 22.0, degraded=True),
        Stored("c", 0, "served", 2, 20.0, degraded=True),
    ]
    return Answers(told, stored, COMPUTED, {1: False, 2: True}, [])


Break = Callable[[Answers], Answers]


def told(**values: Any) -> Break:
    """The first answer is another one."""
    return lambda found: replace(found, acknowledged=[replace(found.acknowledged[0], **values), found.acknowledged[1]])


def stored(place: int, **values: Any) -> Break:
    """A row of the log is another one."""

    def change(found: Answers) -> Answers:
        rows = list(found.stored)
        rows[place] = replace(rows[place], **values)
        return replace(found, stored=rows)

    return change


BREAKS: list[tuple[str, Break]] = [
    ("what is acknowledged is stored", lambda found: replace(found, stored=found.stored[1:])),
    ("what is acknowledged is stored", stored(1, version=2)),
    ("what is acknowledged is stored", stored(1, forecast=11.000001)),
    ("a prediction is stored once", lambda found: replace(found, stored=[*found.stored, found.stored[3]])),
    ("a request has one version", stored(1, version=2)),
    ("the named version computes it", told(forecasts=(10.0, 11.000001))),
    ("the named version computes it", told(version=2)),
    ("fallback only in an outage", lambda found: replace(found, started_in_outage={1: False, 2: False})),
    ("fallback is said", stored(2, degraded=False)),
    ("fallback is said", told(degraded=True)),
    ("no answer is an error of the server", lambda found: replace(found, errors=["status 500"])),
]


def test_honest_answers_break_no_rule() -> None:
    assert answers.broken(honest(), "model") == []


@pytest.mark.parametrize(("rule", "change"), BREAKS)
def test_a_rule_finds_what_it_is_there_for(rule: str, change: Break) -> None:
    assert rule in {violation.invariant for violation in answers.broken(change(honest()), "model")}


def test_every_rule_can_fail() -> None:
    assert {rule for rule, _ in BREAKS} == set(RULES)


@pytest.mark.long
def test_no_acknowledged_prediction_is_lost_or_doubled_when_servers_and_postgres_are_killed(scene: Scene) -> None:
    found, violations = serving.judged(serving.target_of(scene), "answered", ROUNDS)
    assert violations == []
    assert {told.version for told in found.acknowledged} == {1, 2}
    assert any(told.degraded for told in found.acknowledged)
