"""A command that is killed between any two steps, and said again, ends where it would have ended uninterrupted."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from chaos import points, rules
from chaos.operations import Values
from chaos.shelf import Shelf, Shelved

pytestmark = pytest.mark.long


KILLED = -9
SCORING = ("lockgate.operations.score_candidate:examine", "lockgate.database.verdicts:record_verdict")


@dataclass(frozen=True)
class Case:
    """A command, the state that it finds, and what is asked of it."""

    find: Callable[[Shelved], Any]
    values: Values


def _one_serves(model: Shelved) -> None:
    model.serving(1)


def _one_serves_and_one_waits(model: Shelved) -> None:
    model.serving(1)
    model.candidate(2)


def _one_serves_and_one_is_judged(model: Shelved) -> None:
    model.serving(1)
    model.do("judge", version=model.put(2), outcome="passed", policy="usual")


def _one_serves_and_one_is_new(model: Shelved) -> None:
    model.serving(1)
    model.put(2)


def _two_have_served(model: Shelved) -> None:
    model.serving(1)
    model.serving(2)


CASES = {
    "register": Case(lambda model: None, {"bundle": 4}),
    "validate": Case(_one_serves_and_one_is_judged, {"version": 2, "policy": "usual"}),
    "validate with scoring": Case(_one_serves_and_one_is_new, {"version": 2, "policy": "usual"}),
    "promote": Case(_one_serves_and_one_waits, {"version": None, "policy": "usual"}),
    "rollback": Case(_two_have_served, {"to": None}),
    "reject": Case(_one_serves_and_one_waits, {"version": 2}),
    "retire": Case(_one_serves, {}),
    "approve": Case(_one_serves_and_one_waits, {"version": 2}),
}


def _all_points() -> list[tuple[str, str]]:
    """Each case with each point on its way: a verdict that is found again was scored before."""
    scoring = {f"{moment} {step}" for moment in ("before", "after") for step in SCORING}
    return [
        (name, point)
        for name in CASES
        for point in points.points(_kind(name))
        if name not in ("validate", "validate with scoring") or (point in scoring) == ("scoring" in name)
    ]


def _kind(name: str) -> str:
    return name.partition(" ")[0]


@pytest.fixture(scope="session")
def uninterrupted(shelf: Shelf) -> Callable[[str], dict[str, Any]]:
    """How a command ends that nobody interrupts."""

    @cache
    def end_of(name: str) -> dict[str, Any]:
        model = shelf.model(f"calm_{name.replace(' ', '_')}")
        CASES[name].find(model)
        assert model.do_apart(_kind(name), CASES[name].values) == 0
        return state(model)

    return end_of


@pytest.mark.parametrize(("name", "point"), _all_points())
def test_killed_at_any_point_and_said_again_it_ends_the_same(
    name: str, point: str, model: Shelved, uninterrupted: Callable[[str], dict[str, Any]]
) -> None:
    CASES[name].find(model)
    assert model.do_apart(_kind(name), CASES[name].values, point) == KILLED
    assert model.evidence().operations[f"{model.problem}.2-the-one"].struck == point  # it did not merely hang
    assert model.do_apart(_kind(name), CASES[name].values) == 0
    assert state(model) == uninterrupted(name)
    assert rules.broken(model.evidence()) == []


def state(model: Shelved) -> dict[str, Any]:
    """All that a command leaves behind, without times, hashes and the numbers that all models share."""
    evidence = model.evidence()
    last, tables = evidence.moments[-1], evidence.tables
    story = evidence.operations[f"{model.problem}.2-the-one"]
    return {
        "answer": story.outcome,
        "says": _plain(story.answer.result, model) if story.answer else None,
        "stages": last.after,
        "aliases": last.aliases,
        "ledger": [_plain([row[name] for name in TOLD], model) for row in tables.ledger],
        "versions": sorted((row["version"], row["bundle_digest"]) for row in tables.versions),
        "tagged": sorted((row["version"], row["bundle_digest"]) for row in tables.tagged),
        "runs": sorted((row["bundle_digest"], row["status"]) for row in tables.runs),
        "written": {table: _written(evidence, table) for table in ("lockgate.verdicts", "lockgate.approvals")},
    }


TOLD = ("seq", "version", "from_stage", "to_stage", "command", "actor", "reason", "bundle_digest", "policy_digest")


def _written(evidence: Any, table: str) -> int:
    return sum(change.table == table for moment in evidence.moments for change in moment.changes)


def _plain(value: Any, model: Shelved) -> str:
    """As a text, with the model's own name and the numbers of verdicts and approvals taken out."""
    named = str(value).replace(model.problem, "MODEL")
    return re.sub(r"(verdict|approval)('?:?) \d+", r"\1\2 N", named)
