"""Each invariant holds on a good past, and its checker finds the bad one."""

from datetime import UTC, datetime

import pytest

from lockgate.lifecycle import invariants
from lockgate.lifecycle.invariants import Facts
from lockgate.lifecycle.model_state import Entry, ModelState, Registered
from lockgate.lifecycle.stages import Stage

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NONE, STAGING, PRODUCTION, ARCHIVED, _ = Stage
GOOD_PAST = [(1, NONE, STAGING, "validate"), (1, STAGING, PRODUCTION, "promote")]


def broken(stages, past, aliases, **found):
    versions = [Registered(number, stage, None) for number, stage in enumerate(stages, start=1)]
    state = ModelState("m", versions, [Entry(*entry, "anna", NOON) for entry in past])
    return invariants.broken(Facts(state, aliases, **found))


def test_nothing_is_broken_in_an_empty_registry_or_a_good_life():
    assert broken([], [], {}) == []
    assert broken([PRODUCTION, NONE], GOOD_PAST, {"production": 1}) == []


@pytest.mark.parametrize(
    ("stages", "past", "aliases", "says"),
    [
        (
            [PRODUCTION, PRODUCTION],
            [*GOOD_PAST, (2, NONE, STAGING, "validate"), (2, STAGING, PRODUCTION, "promote")],
            {"production": 2},
            ["one version in Production: versions 1, 2 are in Production"],
        ),
        (
            [ARCHIVED],
            [*GOOD_PAST, (1, PRODUCTION, ARCHIVED, "promote")],
            {},
            ["one version in Production: none is in Production, and one was before"],
        ),
        (
            [PRODUCTION],
            GOOD_PAST[:1],
            {"production": 1},
            ["ledger tells every stage: version 1 is in Production, the ledger says Staging"],
        ),
        (
            [PRODUCTION],
            [(1, NONE, PRODUCTION, "out of band")],
            {"production": 1},
            [
                "every move was legal: version 1 went from None to Production by anna (out of band)"
                " at 2026-01-01 12:00:00 UTC"
            ],
        ),
        (
            [PRODUCTION],
            GOOD_PAST,
            {},
            ["aliases mirror the stages: alias production points to nothing, not to version 1"],
        ),
        (
            [NONE],
            [],
            {"staging": 1},
            ["aliases mirror the stages: alias staging points to version 1, the stage is empty"],
        ),
    ],
)
def test_each_checker_finds_what_is_broken(stages, past, aliases, says):
    assert broken(stages, past, aliases) == says


def test_production_may_be_left_empty_by_a_retirement_and_by_nothing_else():
    assert broken([ARCHIVED], [*GOOD_PAST, (1, PRODUCTION, ARCHIVED, "retire")], {}) == []
    assert broken([ARCHIVED], [*GOOD_PAST, (1, PRODUCTION, ARCHIVED, "out of band")], {}) != []


@pytest.mark.parametrize(
    ("found", "name"),
    [("guard_faults", "guard is whole"), ("ledger_breaks", "ledger is whole"), ("unearned", "Production was earned")],
)
def test_what_the_database_found_is_said_under_its_invariant(found, name):
    assert broken([], [], {}, **{found: ["something"]}) == [f"{name}: something"]
