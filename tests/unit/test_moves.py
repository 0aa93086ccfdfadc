"""What each command decides, over the whole table of stages."""

from datetime import UTC, datetime
from itertools import product

import pytest

from lockgate.errors import StateConflict
from lockgate.lifecycle import moves
from lockgate.lifecycle.model_state import Entry, ModelState, Registered
from lockgate.lifecycle.moves import Move, PromotionVerdict
from lockgate.lifecycle.stages import LEGAL_MOVES, Command, Stage

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STAGES = NONE, STAGING, PRODUCTION, ARCHIVED = [stage for stage in Stage if stage is not Stage.DELETED]


def state(*stages, ledger=()):
    versions = [Registered(number, stage, f"digest {number}") for number, stage in enumerate(stages, start=1)]
    return ModelState("rossmann-ensemble", versions, [Entry(*entry, "anna", NOON) for entry in ledger])


def promoted(version):
    return (version, STAGING, PRODUCTION, Command.PROMOTE)


def archived(version, command=Command.PROMOTE):
    return (version, PRODUCTION, ARCHIVED, command)


def rolled_back_to(version):
    return (version, ARCHIVED, PRODUCTION, Command.ROLLBACK)


def passed(serving=None):
    return PromotionVerdict("passed", "policy", serving)


def test_the_legal_moves_are_these_and_no_others():
    legal = {(start, end): {str(command) for command in commands} for (start, end), commands in LEGAL_MOVES.items()}
    assert legal == {
        (NONE, STAGING): {"validate", "out of band", "adopt"},
        (NONE, PRODUCTION): {"adopt"},
        (NONE, ARCHIVED): {"reject", "out of band", "adopt"},
        (STAGING, PRODUCTION): {"promote", "out of band"},
        (STAGING, ARCHIVED): {"validate", "reject", "out of band"},
        (PRODUCTION, ARCHIVED): {"promote", "rollback", "undo", "retire", "out of band"},
        (ARCHIVED, PRODUCTION): {"rollback", "undo"},
        (NONE, Stage.DELETED): {"gc", "out of band"},
        (ARCHIVED, Stage.DELETED): {"gc", "out of band"},
    }


@pytest.mark.parametrize("stage", STAGES)
def test_validate_moves_a_new_version_and_no_other(stage):
    move = moves.staging(state(stage), 1)
    assert move == (Move(1, NONE, STAGING, Command.VALIDATE, ()) if stage is NONE else None)


def test_validate_archives_the_version_that_stood_in_staging():
    assert moves.staging(state(STAGING, NONE), 2) == Move(2, NONE, STAGING, Command.VALIDATE, (1,))


PAIRS = [pair for pair in product([PRODUCTION, ARCHIVED], STAGES) if pair != (PRODUCTION, PRODUCTION)]


@pytest.mark.parametrize(("serving", "candidate"), PAIRS)
def test_promote_takes_only_from_staging(serving, candidate):
    """Every pair of stages: promotion happens from Staging, does nothing in Production, and is refused elsewhere."""
    now = state(serving, candidate)
    standing = passed("digest 1" if serving is PRODUCTION else None)
    if candidate is PRODUCTION:
        assert moves.promotion(now, 2, standing, "policy") is None
    elif candidate is STAGING:
        archives = (1,) if serving is PRODUCTION else ()
        assert moves.promotion(now, 2, standing, "policy") == Move(2, STAGING, PRODUCTION, Command.PROMOTE, archives)
    else:
        with pytest.raises(StateConflict, match=f"version 2 is in {candidate}, not in Staging"):
            moves.promotion(now, 2, standing, "policy")


def test_promote_without_a_number_takes_the_version_in_staging():
    assert moves.promotion(state(ARCHIVED, STAGING), None, passed(), "policy").version == 2


@pytest.mark.parametrize(
    ("standing", "says"),
    [
        (None, "no verdict"),
        (PromotionVerdict("refused", "policy", None), "is refused"),
        (PromotionVerdict("inconclusive", "policy", None), "is inconclusive"),
        (PromotionVerdict("passed", "older policy", None), "another policy"),
        (PromotionVerdict("passed", "policy", "digest 9"), "another version than the one in Production"),
    ],
)
def test_promote_needs_a_passed_verdict_under_the_policy_against_what_serves(standing, says):
    with pytest.raises(StateConflict, match=says):
        moves.promotion(state(STAGING), 1, standing, "policy")


def test_promote_expecting_another_current_version_names_the_one_that_serves_and_since_when():
    now = state(PRODUCTION, STAGING, ledger=[promoted(1)])
    with pytest.raises(StateConflict, match="version 1 is in Production, not 9, since 2026-01-01 12:00:00 UTC"):
        moves.promotion(now, 2, passed("digest 1"), "policy", expect_current=9)
    assert moves.promotion(now, 2, passed("digest 1"), "policy", expect_current=1).archives == (1,)


@pytest.mark.parametrize(
    ("now", "version", "says"),
    [
        (state(), None, "no version of rossmann-ensemble is in Staging"),
        (state(STAGING), 7, "has no version 7"),
        (
            state(PRODUCTION, PRODUCTION, STAGING),
            3,
            "versions 1 and 2 of rossmann-ensemble are both in Production",
        ),
    ],
)
def test_promote_says_what_is_missing(now, version, says):
    with pytest.raises(StateConflict, match=says):
        moves.promotion(now, version, passed(), "policy")


def test_rollback_returns_to_the_last_good_production_even_with_a_lower_number():
    now = state(ARCHIVED, PRODUCTION, ledger=[promoted(1), archived(1), promoted(2)])
    assert moves.rollback(now) == Move(1, ARCHIVED, PRODUCTION, Command.ROLLBACK, (2,))


def test_rollback_passes_over_a_version_that_a_rollback_took_out():
    past = [
        promoted(1), archived(1), promoted(2), archived(2), promoted(3),
        archived(3, Command.ROLLBACK), rolled_back_to(2),
    ]  # fmt: skip
    assert moves.rollback(state(ARCHIVED, PRODUCTION, ARCHIVED, ledger=past)).version == 1


ROLLED_BACK = [promoted(1), archived(1), promoted(2), archived(2, Command.ROLLBACK), rolled_back_to(1)]


def test_naming_what_the_last_rollback_took_out_undoes_it():
    now = state(PRODUCTION, ARCHIVED, ledger=ROLLED_BACK)
    assert moves.rollback(now, to=2) == Move(2, ARCHIVED, PRODUCTION, Command.UNDO, (1,))


def test_after_an_undone_rollback_both_versions_are_good_again():
    past = [*ROLLED_BACK, archived(1, Command.UNDO), (2, ARCHIVED, PRODUCTION, Command.UNDO)]
    now = state(ARCHIVED, PRODUCTION, ledger=past)
    assert not now.quarantined(1)
    assert not now.quarantined(2)
    assert moves.rollback(now) == Move(1, ARCHIVED, PRODUCTION, Command.ROLLBACK, (2,))


def test_a_rollback_that_was_followed_by_a_promotion_is_not_undone():
    past = [*ROLLED_BACK, archived(1), promoted(3)]
    with pytest.raises(StateConflict, match="version 2 is no earlier good Production: it is quarantined"):
        moves.rollback(state(ARCHIVED, ARCHIVED, PRODUCTION, ledger=past), to=2)


def test_a_second_rollback_with_nowhere_to_go_tells_how_to_undo_the_first():
    with pytest.raises(StateConflict, match="no earlier good Production") as refusal:
        moves.rollback(state(PRODUCTION, ARCHIVED, ledger=ROLLED_BACK))
    assert refusal.value.hint == "if that rollback was a mistake, undo it with: lockgate rollback --to 2"


def test_what_was_retired_comes_back_by_a_rollback():
    now = state(ARCHIVED, ledger=[promoted(1), archived(1, Command.RETIRE)])
    assert moves.rollback(now) == Move(1, ARCHIVED, PRODUCTION, Command.ROLLBACK, ())


@pytest.mark.parametrize(
    ("to", "says"),
    [
        (2, "it is in Production now"),
        (3, "it has never been in Production"),
        (4, "it is quarantined"),
        (9, "has no version 9"),
    ],
)
def test_rollback_goes_only_to_an_earlier_good_production(to, says):
    past = [
        promoted(1), archived(1), promoted(4),
        archived(4, Command.ROLLBACK), rolled_back_to(1), archived(1), promoted(2),
    ]  # fmt: skip
    with pytest.raises(StateConflict, match=says):
        moves.rollback(state(ARCHIVED, PRODUCTION, ARCHIVED, ARCHIVED, ledger=past), to)


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (state(ARCHIVED), "no version of rossmann-ensemble has been in Production"),
        (state(PRODUCTION, ledger=[promoted(1)]), "no earlier good Production"),
    ],
)
def test_rollback_says_why_there_is_nowhere_to_go(now, says):
    with pytest.raises(StateConflict, match=says):
        moves.rollback(now)


def test_a_quarantined_version_is_never_promoted_again():
    now = state(PRODUCTION, STAGING, ledger=[promoted(2), archived(2, Command.ROLLBACK)])
    with pytest.raises(StateConflict, match="version 2 is quarantined"):
        moves.promotion(now, 2, passed("digest 1"), "policy")


def test_validate_makes_room_for_itself_however_many_are_in_staging():
    assert moves.staging(state(STAGING, STAGING, NONE), 3).archives == (1, 2)


def test_retire_takes_the_serving_version_out_and_puts_nothing_there():
    assert moves.retirement(state(ARCHIVED, PRODUCTION)) == Move(2, PRODUCTION, ARCHIVED, Command.RETIRE, ())


def test_there_is_nothing_to_retire_where_nothing_serves():
    with pytest.raises(StateConflict, match="nothing to retire"):
        moves.retirement(state(STAGING))


@pytest.mark.parametrize("stage", STAGES)
def test_reject_archives_what_has_not_got_to_production(stage):
    if stage is PRODUCTION:
        with pytest.raises(StateConflict, match="is in Production"):
            moves.rejection(state(stage), 1)
    else:
        expected = None if stage is ARCHIVED else Move(1, stage, ARCHIVED, Command.REJECT, ())
        assert moves.rejection(state(stage), 1) == expected
