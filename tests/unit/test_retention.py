"""Whom gc keeps: every reason alone is enough, and without one a version goes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lockgate.errors import WrongUsage
from lockgate.lifecycle import retention
from lockgate.lifecycle.model_state import Entry, ModelState, Registered
from lockgate.lifecycle.retention import REASONS, Holding, Rule
from lockgate.lifecycle.stages import Command, Stage

NONE, STAGING, PRODUCTION, ARCHIVED, DELETED = Stage
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULE = Rule(keep=2, older_than=timedelta(days=90))
OLD, YOUNG = timedelta(days=91), timedelta(days=89)
REFUSED = Holding(1, NONE, OLD, registered_by_us=True, verdict="refused")


def state(*stages, past=()):
    versions = [Registered(number, stage, None) for number, stage in enumerate(stages, start=1)]
    return ModelState("m", versions, [Entry(*entry, "anna", NOON) for entry in past])


def went_up(version):
    return (version, STAGING, PRODUCTION, Command.PROMOTE)


def went_out(version, command=Command.PROMOTE):
    return (version, PRODUCTION, ARCHIVED, command)


def kept_for(holding, now=None, rule=RULE):
    [fate] = retention.fates([holding], now or state(holding.stage), rule)
    assert fate.goes is (fate.kept_for is None)
    return fate.kept_for


WAS_LIVE = state(ARCHIVED, past=[went_up(1), went_out(1)])
ROLLED_BACK = state(ARCHIVED, past=[went_up(1), went_out(1, Command.ROLLBACK)])

ALONE = {
    "in Production": (replace(REFUSED, stage=PRODUCTION), None),
    "in Staging": (replace(REFUSED, stage=STAGING), None),
    "a rollback may need it": (replace(REFUSED, stage=ARCHIVED), WAS_LIVE),
    "the last rollback took it out": (replace(REFUSED, stage=ARCHIVED), ROLLED_BACK),
    "still a candidate": (replace(REFUSED, verdict="passed"), None),
    "it is approved": (replace(REFUSED, verdict="passed", verdict_expired=True, approved=True), None),
    "a command is moving it": (replace(REFUSED, intended=True), None),
    "too young": (replace(REFUSED, age=YOUNG), None),
    "registered outside Lockgate": (replace(REFUSED, registered_by_us=False), None),
    "another version uses its run or files": (replace(REFUSED, shared=True), None),
    "it gave predictions on record": (replace(REFUSED, logged=True), None),
}


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_alone_keeps_a_version(reason):
    holding, now = ALONE[reason]
    assert kept_for(holding, now) == reason


@pytest.mark.parametrize(
    "holding",
    [
        REFUSED,
        replace(REFUSED, verdict="inconclusive"),
        replace(REFUSED, verdict="passed", verdict_expired=True),
        replace(REFUSED, verdict=None, decision="rejected"),
        replace(REFUSED, verdict="passed", decision="rejected"),
        replace(REFUSED, age=RULE.older_than),
        replace(REFUSED, stage=ARCHIVED, verdict=None),
        replace(REFUSED, stage=ARCHIVED, verdict="passed", approved=True),
        replace(REFUSED, stage=DELETED),
        replace(REFUSED, stage=DELETED, age=YOUNG, collected=True),
    ],
)
def test_what_nothing_speaks_for_goes(holding):
    assert kept_for(holding) is None


def test_a_version_without_a_verdict_is_still_a_candidate():
    assert kept_for(replace(REFUSED, verdict=None)) == "still a candidate"


def test_the_remains_of_a_version_deleted_past_gc_wait_until_they_are_old():
    assert kept_for(replace(REFUSED, stage=DELETED, age=YOUNG)) == "too young"


LIVES = [
    went_up(1), went_out(1), went_up(2), went_out(2), went_up(3), went_out(3, Command.ROLLBACK),
    (1, ARCHIVED, PRODUCTION, Command.ROLLBACK), went_out(1), went_up(4), went_out(4), went_up(5),
]  # fmt: skip


def test_rollback_targets_are_good_past_productions_the_latest_first_each_once():
    """Version 3 is quarantined, version 5 serves, and version 1 came back after 2."""
    now = state(ARCHIVED, ARCHIVED, ARCHIVED, ARCHIVED, PRODUCTION, past=LIVES)
    assert retention.rollback_targets(now, 10) == [4, 1, 2]
    assert retention.rollback_targets(now, 2) == [4, 1]


def test_a_deleted_version_is_no_rollback_target_and_takes_no_place_of_one():
    now = state(ARCHIVED, ARCHIVED, ARCHIVED, DELETED, PRODUCTION, past=LIVES)
    assert retention.rollback_targets(now, 2) == [1, 2]


def test_after_a_retirement_the_version_that_served_is_the_first_target():
    assert retention.rollback_targets(state(ARCHIVED, past=[went_up(1), went_out(1, Command.RETIRE)]), 1) == [1]


def test_a_version_taken_out_by_an_earlier_rollback_goes():
    now = state(ARCHIVED, ARCHIVED, PRODUCTION, past=[*LIVES[:6], went_up(1), went_out(1), went_up(2)])
    assert kept_for(replace(REFUSED, version=3, stage=ARCHIVED), now) is None


@pytest.mark.parametrize(
    ("typed", "span"),
    [("90d", timedelta(days=90)), ("12w", timedelta(weeks=12)), ("36h", timedelta(hours=36)), ("0d", timedelta(0))],
)
def test_a_span_of_time_is_a_number_with_a_unit(typed, span):
    assert retention.span(typed) == span


@pytest.mark.parametrize("typed", ["", "90", "d", "-1d", "1.5d", "90 d", "3m", "9999999999d", "90d1h", "nan"])
def test_anything_else_is_no_span_of_time(typed):
    with pytest.raises(WrongUsage, match="no span of time") as refusal:
        retention.span(typed)
    assert refusal.value.hint == "write it as 90d, 12w or 36h"
