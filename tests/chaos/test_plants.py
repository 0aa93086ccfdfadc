"""The harness is proven by planted bugs: each is caught, by the rule that is there for it."""

import pytest

from chaos import plants, rules, worker
from chaos.crew import run_one
from chaos.plants import MOVES, ONE_PRODUCTION, VERSIONS
from chaos.shelf import Shelved
from lockgate.database import guard
from lockgate.database.connection import Database

pytestmark = pytest.mark.long


def caught(model: Shelved) -> set[str]:
    """The names of the rules that find something broken."""
    return {violation.invariant for violation in rules.broken(model.evidence())}


@pytest.fixture(autouse=True)
def whole(model: Shelved):
    """A plant leaves nothing behind."""
    yield
    assert guard.status(Database(model.place.where.database_url)).faults == ()


def two_candidates(model: Shelved) -> None:
    """Both were judged while nobody served, so that nothing about their verdicts stands in the way of either."""
    for bundle in (1, 2):
        model.do("judge", version=model.put(bundle), outcome="passed", policy="usual")
    for version in (1, 2):
        model.do("transition", version=version, stage="Staging", archive=False)


def promote_both(model: Shelved) -> str:
    """The first passes; what the second is told."""
    assert model.do("transition", version=1, stage="Production", archive=False).outcome == "done"
    return model.refused("transition", version=2, stage="Production", archive=False)


# --- the one-Production rule dropped ---------------------------------------------------------------------------


def test_two_in_production_are_refused_in_words_by_the_trigger(model: Shelved) -> None:
    two_candidates(model)
    assert "may not go to Production: version 1 is there" in promote_both(model)
    assert caught(model) == set()


def test_without_the_rule_of_one_production_the_trigger_still_refuses(model: Shelved) -> None:
    with plants.without(model, ONE_PRODUCTION):
        two_candidates(model)
        assert "may not go to Production: version 1 is there" in promote_both(model)
        assert caught(model) == set()


def test_without_the_trigger_the_rule_of_one_production_still_refuses(model: Shelved) -> None:
    with plants.without(model, VERSIONS):
        two_candidates(model)
        assert "may not be in Production" in promote_both(model)
        assert caught(model) == set()


def test_without_both_two_in_production_are_caught(model: Shelved) -> None:
    with plants.without(model, ONE_PRODUCTION, VERSIONS):
        two_candidates(model)
        assert promote_both(model) == "not refused, but done"
        assert "one version in Production" in caught(model)


# --- archive, then promote, in two calls -----------------------------------------------------------------------------


def test_the_guard_refuses_to_archive_what_serves_before_the_next_one_comes(model: Shelved) -> None:
    model.serving(1)
    model.candidate(2)
    with plants.archive_then_promote():
        assert "Production would be empty" in model.refused("promote", version=2, policy="usual")
    assert caught(model) == set()


def test_without_the_guard_of_moves_the_empty_moment_between_two_calls_is_caught(model: Shelved) -> None:
    with plants.without(model, MOVES):
        model.serving(1)
        model.candidate(2)
        with plants.archive_then_promote():
            assert model.do("promote", version=2, policy="usual").outcome == "done"
        assert "Production is never left empty" in caught(model)
        assert model.evidence().moments[-1].serving() == [2]  # who looks later sees nothing of it


# --- the ledger outside the transaction ------------------------------------------------------------------------------


def promote_with_the_ledger_beside(model: Shelved, point: str | None) -> None:
    """In a process of its own, since it is killed."""
    with plants.ledger_beside_the_move(model):
        asked = worker.asked(model.place, f"{model.problem}.2-the-one", model.problem, "promote", PROMOTION)
        worker.one(model.place, asked, point)


PROMOTION = {"version": 1, "policy": "usual"}


@pytest.mark.parametrize("point", [None, "before chaos.plants:write_row"])
def test_a_row_that_is_written_beside_the_move_is_caught_whether_it_comes_or_is_lost(
    model: Shelved, point: str | None
) -> None:
    model.candidate(1)
    with plants.without_recorder(model):
        assert run_one(promote_with_the_ledger_beside, model, point) == (-9 if point else 0)
        assert "one ledger row for each move" in caught(model)
        assert len(model.evidence().tables.ledger) == (1 if point else 2)


# --- no digest key ---------------------------------------------------------------------------------------------------


def test_a_bundle_that_becomes_two_versions_is_caught(model: Shelved) -> None:
    with plants.no_digest_key(model):
        for _ in range(2):
            model.do("register", bundle=3)
        assert "one bundle, one version" in caught(model)


# --- not (x >= limit) ------------------------------------------------------------------------------------------------


def test_nan_is_inconclusive_at_the_gate(model: Shelved) -> None:
    model.put(1)
    with plants.unmeasured():
        answer = model.do("validate", version=1, policy="usual").answer
    assert answer is not None
    assert answer.result["outcome"] == "inconclusive"
    assert caught(model) == set()


def test_nan_that_passes_the_gate_is_caught(model: Shelved) -> None:
    model.put(1)
    with plants.not_at_or_over():
        model.do("validate", version=1, policy="usual")
    assert model.do("promote", version=1, policy="usual").outcome == "done"
    assert "Production was earned" in caught(model)
