"""Promote and rollback on a real registry: one live version for all who ask, and a ledger that tells."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import mlflow
import pytest
from sqlalchemy import text

from lockgate.bundle import manifest, store
from lockgate.database import intents, ledger, versions
from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken, StateConflict, Unavailable, WrongUsage
from lockgate.gate.verdict import policy_digest
from lockgate.operations import promote, retire, rollback, status
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.registry.error_messages import quiet

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
ANYTHING = {"over_serving": 1.0}


@pytest.fixture
def policy(params):
    return policy_digest(params.policy)


@pytest.fixture
def lenient_policy(params):
    """The policy under which any small candidate may follow any other."""
    return policy_digest(params.policy.model_copy(update=ANYTHING))


@pytest.fixture
def two_productions(backend, passed, lenient_policy):
    """Version 1 was in Production until version 2 took its place."""
    for seed, version in ((1, 1), (2, 2)):
        passed(seed, **ANYTHING)
        promote.promote(backend, YES, version, lenient_policy, None)
    return backend


def stages(backend):
    return [row.stage for row in versions.stages(backend.database, backend.model)]


def ledger_rows(backend):
    rows = ledger.read(backend.database, backend.model)
    return [(row.version, row.from_stage, row.to_stage, row.command, row.actor) for row in rows]


def test_promote_archives_the_prior_production_and_says_so_in_the_ledger(two_productions):
    assert stages(two_productions) == ["Archived", "Production"]
    assert sorted(ledger_rows(two_productions)[-2:]) == [
        (1, "Production", "Archived", "promote", "anna"),
        (2, "Staging", "Production", "promote", "anna"),
    ]


def test_stage_and_alias_name_the_same_version_to_mlflow(two_productions, stack):
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    client = mlflow.MlflowClient()
    assert int(client.get_model_version_by_alias(two_productions.model, "production").version) == 2
    rollback.rollback(two_productions, YES, None)
    assert int(client.get_model_version_by_alias(two_productions.model, "production").version) == 1


def test_rollback_brings_the_lower_number_back_and_quarantines_the_bad_one(two_productions, validated, lenient_policy):
    rollback.rollback(two_productions, YES, None)
    assert stages(two_productions) == ["Production", "Archived"]
    assert two_productions.state().quarantined(2)
    validated(2, **ANYTHING)
    assert stages(two_productions) == ["Production", "Archived"]
    with pytest.raises(StateConflict, match="version 2 is quarantined"):
        promote.promote(two_productions, YES, 2, lenient_policy, None)


def test_rollback_twice_in_a_row_finds_nowhere_to_go(two_productions):
    rollback.rollback(two_productions, YES, None)
    with pytest.raises(StateConflict, match="no earlier good Production"):
        rollback.rollback(two_productions, YES, None)
    assert stages(two_productions) == ["Production", "Archived"]


def test_rollback_of_a_rollback_returns_and_neither_version_is_quarantined(two_productions):
    rollback.rollback(two_productions, YES, None)
    rollback.rollback(two_productions, YES, 2)
    assert stages(two_productions) == ["Archived", "Production"]
    assert sorted(ledger_rows(two_productions)[-2:]) == [
        (1, "Production", "Archived", "undo", "anna"),
        (2, "Archived", "Production", "undo", "anna"),
    ]
    assert not any(map(two_productions.state().quarantined, (1, 2)))
    assert rollback.rollback(two_productions, YES, None).move.version == 1


def test_rollback_brings_back_what_was_retired(two_productions):
    retire.retire(two_productions, YES)
    rollback.rollback(two_productions, YES, None)
    assert stages(two_productions) == ["Archived", "Production"]


def test_rollback_tells_how_long_it_took(two_productions):
    done = rollback.rollback(two_productions, YES, None)
    assert done.verified > 0
    assert done.switched > 0


def killed_before_it_tells(backend, act):
    """Run a command whose process is gone the moment its move is made."""

    def dies(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lockgate.database.intents.mark_reported", dies)
        with pytest.raises(KeyboardInterrupt):
            act()


@pytest.mark.parametrize("command", ["rollback", "retire"])
def test_a_command_that_died_before_it_could_tell_does_not_move_on_when_said_again(two_productions, command):
    def act():
        return (
            rollback.rollback(two_productions, YES, None)
            if command == "rollback"
            else retire.retire(two_productions, YES)
        )

    killed_before_it_tells(two_productions, act)
    after = ledger_rows(two_productions)
    again = act()
    move = again.move if command == "rollback" else again
    assert (move.command, move.archives) == (command, (2,) if command == "rollback" else ())
    assert ledger_rows(two_productions) == after
    with pytest.raises(StateConflict):  # the third time it is a command of its own
        act()


def test_a_move_that_somebody_made_in_mlflow_a_moment_before_is_not_told_as_ones_own(
    backend, passed, policy, monkeypatch, stack
):
    passed(1)
    open_intent = intents.open_intent

    def outrun(database, intent, holder):
        with quiet():
            mlflow.MlflowClient(stack.tracking_uri).transition_model_version_stage(
                backend.model, str(intent.version), intent.to_stage
            )
        return open_intent(database, intent, holder)

    monkeypatch.setattr(intents, "open_intent", outrun)
    with pytest.raises(
        StateConflict, match=r"another client moved a version before this promote; version 1 went to Production"
    ):
        promote.promote(backend, YES, None, policy, None)
    assert ledger_rows(backend)[-1][3] == "out of band"
    open_intents = "SELECT count(*) FROM lockgate.intents WHERE model = :model AND consumed_at IS NULL"
    with backend.database.transaction() as connection:
        assert connection.scalar(text(open_intents), {"model": backend.model}) == 0


def test_somebody_elses_untold_move_is_not_taken_for_ones_own(two_productions):
    killed_before_it_tells(two_productions, lambda: rollback.rollback(two_productions, YES, None))
    with pytest.raises(StateConflict, match="no earlier good Production"):
        rollback.rollback(replace(two_productions, actor="bert"), YES, None)
    with pytest.raises(StateConflict, match="no earlier good Production"):
        rollback.rollback(two_productions, replace(YES, reason="another one"), None)


def test_rollback_to_a_version_whose_bytes_changed_changes_nothing(two_productions, home):
    source = two_productions.registry()._client.get_model_version(two_productions.model, "1").source
    [path] = home.glob(f"artifacts/*/models/{source.removeprefix('models:/')}/**/catboost.cbm")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityBroken, match=r"catboost\.cbm sha256 mismatch"):
        rollback.rollback(two_productions, YES, None)
    assert stages(two_productions) == ["Archived", "Production"]


def test_an_unvalidated_version_is_not_promoted(backend, build, params, policy):
    from lockgate.operations import register

    register.register(backend, build(1), params)
    with pytest.raises(StateConflict, match="version 1 is in None, not in Staging"):
        promote.promote(backend, YES, 1, policy, None)


def test_a_verdict_under_another_policy_does_not_count(backend, passed):
    passed(1)
    with pytest.raises(StateConflict, match="another policy"):
        promote.promote(backend, YES, 1, "0" * 64, None)
    assert stages(backend) == ["Staging"]


def blend_evenly(candidate):
    """Make another bundle of the build, so that it is another version."""
    forecaster = store.load(candidate.bundle, manifest.digest(candidate.bundle))
    even = dict.fromkeys(forecaster.weights, 1 / len(forecaster.weights))
    store.save(replace(forecaster, weights=even), candidate.bundle)


def test_a_verdict_against_another_serving_version_does_not_count(two_productions, passed, build, lenient_policy):
    """Version 3 was compared with version 2; then a rollback put version 1 back."""
    blend_evenly(build(2))
    passed(2, **ANYTHING)
    rollback.rollback(two_productions, YES, None)
    with pytest.raises(StateConflict, match="another version than the one in Production"):
        promote.promote(two_productions, YES, 3, lenient_policy, None)


def test_versions_and_their_past_are_of_one_moment(backend, passed, policy, monkeypatch):
    passed(1)
    read = ledger.read

    def after_a_move(*args):
        monkeypatch.setattr(ledger, "read", read)
        somebody_else = replace(backend, database=Database(backend.addresses.database_url))
        promote.promote(somebody_else, YES, None, policy, None)
        return read(*args)

    monkeypatch.setattr(ledger, "read", after_a_move)
    for stage in ("Staging", "Production"):
        state = backend.state()
        assert (state.find(1).stage, state.ledger[-1].to_stage) == (stage, stage)


def test_who_is_outrun_between_two_questions_is_told_by_whom_and_not_what_came_of_it(
    two_productions, passed, build, lenient_policy, monkeypatch
):
    blend_evenly(build(2))
    passed(2, **ANYTHING)
    objection_to_rise = intents.objection_to_rise

    def after_a_promotion(*args):
        monkeypatch.setattr(intents, "objection_to_rise", objection_to_rise)
        promote.promote(replace(two_productions, actor="bert"), YES, None, lenient_policy, None)
        return objection_to_rise(*args)

    monkeypatch.setattr(intents, "objection_to_rise", after_a_promotion)
    with pytest.raises(
        StateConflict,
        match=r"another client moved a version before this promote; version 3 went to Production .* by bert",
    ):
        promote.promote(two_productions, YES, None, lenient_policy, None)


def test_status_does_not_half_see_a_move_that_is_made_while_it_looks(backend, passed, policy, monkeypatch):
    passed(1)
    aliases = versions.aliases

    def after_a_move(database, model):
        if not promoted:
            promoted.append(promote.promote(somebody_else, YES, None, policy, None))
        return aliases(database, model)

    promoted = []
    somebody_else = replace(backend, database=Database(backend.addresses.database_url))
    monkeypatch.setattr(versions, "aliases", after_a_move)
    before = status.status(backend)
    assert len(promoted) == 1
    assert (before.broken, before.serving, before.staging.version) == ((), None, 1)
    after = status.status(backend)
    assert (after.broken, after.serving.version, after.staging) == ((), 1, None)


def test_of_twenty_promotions_at_once_one_wins_and_the_others_name_the_winner(backend, passed, policy):
    passed(1)
    people = [replace(backend, actor=f"person {number}") for number in range(20)]

    def attempt(person):
        try:
            promote.promote(person, YES, None, policy, None)
        except StateConflict as refusal:
            return str(refusal)
        return "won"

    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(attempt, people))
    winner = ledger_rows(backend)[-1][-1]
    assert answers.count("won") == 1
    assert answers[int(winner.split()[1])] == "won"
    lost = [answer for answer in answers if answer != "won"]
    assert all(winner in answer for answer in lost), lost
    assert [entry[2] for entry in ledger_rows(backend)] == ["Staging", "Production"]


def test_promoting_what_is_live_changes_nothing(two_productions, lenient_policy):
    before = ledger_rows(two_productions)
    assert promote.promote(two_productions, YES, 2, lenient_policy, None) is None
    assert ledger_rows(two_productions) == before


def test_nothing_is_written_on_a_dry_run(backend, passed, policy):
    passed(1)
    before = ledger_rows(backend)
    move = promote.promote(backend, replace(YES, dry_run=True), None, policy, None)
    assert (move.version, move.to_stage) == (1, "Production")
    assert (stages(backend), ledger_rows(backend)) == (["Staging"], before)


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 2001, "\x1b[31mred"])
def test_a_reason_is_one_readable_line(backend, policy, reason):
    with pytest.raises(WrongUsage, match=r"^the reason (is empty|has|holds)"):
        promote.promote(backend, replace(YES, reason=reason), None, policy, None)


def test_with_the_server_down_nothing_moves_and_the_next_try_works(backend, passed, policy, unreachable):
    passed(1)
    with pytest.raises(Unavailable, match="does not answer"):
        promote.promote(unreachable(backend), YES, None, policy, None)
    assert stages(backend) == ["Staging"]
    promote.promote(backend, replace(YES, reason="again"), None, policy, None)
    assert ledger.read(backend.database, backend.model)[-1].reason == "again"
