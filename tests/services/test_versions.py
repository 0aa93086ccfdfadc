"""What schema lockgate remembers, and what its triggers on MLflow's tables write by themselves."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from lockgate.database import coverage, guard, intents, ledger, verdicts, versions
from lockgate.database.connection import Database
from lockgate.database.intents import Intent
from lockgate.database.model_lock import model_lock
from lockgate.database.verdicts import Digests, Verdict
from lockgate.database.versions import Registration
from lockgate.errors import LockgateError, StateConflict

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
FIRST = Registration("m", 1, A, "run-1", {"git_commit": "abc", "seed": 7})
VERDICT = Verdict(
    model="m",
    version=1,
    digests=Digests(A, B, C, None),
    outcome="passed",
    checks=[{"name": "limit", "outcome": "passed", "says": "0.09 < 0.10"}],
    metrics={"rmspe": 0.09},
    code_commit="abc",
    actor="ann",
)


@pytest.fixture
def database(database: Database) -> Database:
    """Without the guard: here it is about what is recorded, legal or not."""
    guard.remove(database, "test")
    coverage.cover(database, "m", "test")
    return database


def put_versions(database: Database, count: int, model: str = "m", workspace: str = "default") -> None:
    """Rows as MLflow's server writes them on registration: every version starts in stage None."""
    with database.transaction() as connection:
        connection.execute(
            text("INSERT INTO public.registered_models (workspace, name) VALUES (:workspace, :model)"),
            {"workspace": workspace, "model": model},
        )
        for version in range(1, count + 1):
            connection.execute(
                text(
                    "INSERT INTO public.model_versions (workspace, name, version, creation_time, current_stage, run_id)"
                    " VALUES (:workspace, :model, :version, 1700000000500, 'None', 'run-' || :version)"
                ),
                {"workspace": workspace, "model": model, "version": version},
            )


def move(database: Database, *moves: tuple[int, str]) -> None:
    """Stage changes in one transaction, as one call of MLflow makes them."""
    with database.transaction() as connection:
        for version, stage in moves:
            connection.execute(
                text("UPDATE public.model_versions SET current_stage = :stage WHERE name = 'm' AND version = :version"),
                {"stage": stage, "version": version},
            )


def ledger_rows(database: Database) -> list[tuple[int, str, str, str, str, str]]:
    """The ledger without its numbers, digests and times."""
    return [
        (row.version, row.from_stage, row.to_stage, row.command, row.actor, row.reason)
        for row in ledger.read(database, "m")
    ]


def aliases(database: Database) -> dict[str, int]:
    with database.transaction() as connection:
        return {
            row.alias: row.version for row in connection.execute(text("SELECT * FROM public.registered_model_aliases"))
        }


# --- versions --------------------------------------------------------------------------------------------------------


def test_recording_a_version_twice_changes_nothing(database: Database) -> None:
    first = versions.record_version(database, FIRST)
    assert versions.record_version(database, replace(FIRST, run_id="run-9", lineage={})) == first
    assert (first.lineage, first.run_id) == (FIRST.lineage, "run-1")


@pytest.mark.parametrize("other", [replace(FIRST, version=2), replace(FIRST, bundle_digest=B)])
def test_a_version_is_bound_to_one_bundle_and_a_bundle_to_one_version(database: Database, other: Registration) -> None:
    versions.record_version(database, FIRST)
    with pytest.raises(StateConflict, match="contradicts version 1 with bundle aaaaaaaaaaaa"):
        versions.record_version(database, other)


def test_the_same_bundle_may_belong_to_two_models(database: Database) -> None:
    versions.record_version(database, FIRST)
    versions.record_version(database, replace(FIRST, model="n"))
    assert versions.version_of_digest(database, "n", A) != versions.version_of_digest(database, "m", A)


def test_a_version_is_found_by_its_digest_and_by_its_number(database: Database) -> None:
    known = versions.record_version(database, FIRST)
    assert versions.version_of_digest(database, "m", A) == known
    assert versions.recorded_version(database, "m", 1) == known
    assert versions.version_of_digest(database, "m", B) is None
    assert versions.recorded_version(database, "m", 2) is None


def test_registrations_that_race_give_one_version(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: versions.record_version(database, FIRST).registered_at, range(8)))
    assert len(found) == 1


def test_stages_are_mlflows_own_with_the_bundle_where_one_is_known(database: Database) -> None:
    put_versions(database, 3)
    versions.record_version(database, FIRST)
    move(database, (1, "Production"), (2, "Deleted_Internal"))
    moment = datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)
    assert versions.stages(database, "m") == [
        versions.VersionRow(1, "Production", A, "run-1", moment),
        versions.VersionRow(3, "None", None, "run-3", moment),
    ]


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_a_verdict_is_found_by_exactly_what_it_looked_at(database: Database) -> None:
    versions.record_version(database, FIRST)
    stored = verdicts.record_verdict(database, VERDICT)
    assert verdicts.find_verdict(database, "m", VERDICT.digests, 1) == stored
    for other in (
        Digests(D, B, C, None),
        Digests(A, D, C, None),
        Digests(A, B, D, None),
        Digests(A, B, C, D),
    ):
        assert verdicts.find_verdict(database, "m", other, 1) is None


def test_the_newest_verdict_counts(database: Database) -> None:
    versions.record_version(database, FIRST)
    verdicts.record_verdict(database, VERDICT)
    newest = verdicts.record_verdict(database, replace(VERDICT, outcome="refused", digests=Digests(A, B, D, A)))
    assert verdicts.latest_verdict(database, "m", 1) == newest
    assert verdicts.latest_verdict(database, "m", 2) is None


def test_metrics_that_are_no_numbers_survive(database: Database) -> None:
    versions.record_version(database, FIRST)
    odd = replace(VERDICT, outcome="inconclusive", metrics={"rmspe": math.nan, "bias": -math.inf})
    stored = verdicts.record_verdict(database, odd)
    assert math.isnan(stored.metrics["rmspe"])
    assert stored.metrics["bias"] == -math.inf


def test_a_verdict_on_other_bytes_than_the_registered_ones_is_refused(database: Database) -> None:
    versions.record_version(database, FIRST)
    with pytest.raises(StateConflict, match="no version 1 with bundle bbbb"):
        verdicts.record_verdict(database, replace(VERDICT, digests=Digests(B, B, C, None)))


@pytest.mark.parametrize("wrong", [replace(VERDICT, outcome="fine"), replace(VERDICT, checks=[])])
def test_a_verdict_of_another_kind_or_passed_without_checks_is_refused(database: Database, wrong: Verdict) -> None:
    versions.record_version(database, FIRST)
    with pytest.raises(LockgateError, match="check constraint"):
        verdicts.record_verdict(database, wrong)


# --- the ledger, written by the trigger ------------------------------------------------------------------------------


def test_an_intent_gives_its_move_actor_reason_and_evidence(database: Database) -> None:
    put_versions(database, 1)
    versions.record_version(database, FIRST)
    verdict = verdicts.record_verdict(database, VERDICT)
    number = intents.open_intent(database, Intent("m", 1, "None", "Staging", "ann", "good", "validate"))
    move(database, (1, "Staging"))
    [row] = ledger.read(database, "m")
    assert (row.command, row.actor, row.reason, row.db_user) == ("validate", "ann", "good", "lockgate")
    assert (row.seq, row.intent_id, row.bundle_digest, row.verdict_id) == (1, number, A, verdict.id)
    assert (row.holdout_digest, row.policy_digest, row.code_commit, row.approval_id) == (B, C, "abc", None)


def test_an_intent_is_consumed_once(database: Database) -> None:
    put_versions(database, 1)
    intents.open_intent(database, Intent("m", 1, "None", "Staging", "ann", "good", "validate"))
    for stage in ("Staging", "None", "Staging"):
        move(database, (1, stage))
    assert [row[3:5] for row in ledger_rows(database)] == [("validate", "ann"), *[("out of band", "lockgate")] * 2]


@pytest.mark.parametrize(
    "other",
    [
        Intent("n", 1, "None", "Staging", "ann", "r", "validate"),
        Intent("m", 2, "None", "Staging", "ann", "r", "validate"),
        Intent("m", 1, "Archived", "Staging", "ann", "r", "validate"),
        Intent("m", 1, "None", "Production", "ann", "r", "promote"),
    ],
)
def test_an_intent_for_another_move_is_not_taken(database: Database, other: Intent) -> None:
    put_versions(database, 1)
    intents.open_intent(database, other)
    move(database, (1, "Staging"))
    assert ledger_rows(database) == [(1, "None", "Staging", "out of band", "lockgate", "out of band")]


def test_an_old_or_withdrawn_intent_is_not_taken(database: Database) -> None:
    put_versions(database, 1)
    withdrawn = intents.open_intent(database, Intent("m", 1, "None", "Staging", "ann", "withdrawn", "validate"))
    intents.open_intent(database, Intent("m", 1, "None", "Staging", "ann", "died", "validate"))
    intents.withdraw_intent(database, withdrawn)
    make_older(database, "11 seconds")
    move(database, (1, "Staging"))
    assert ledger_rows(database)[0][3] == "out of band"


def test_an_intent_counts_as_long_as_its_command_holds_the_model(database: Database) -> None:
    put_versions(database, 1)
    with model_lock(database, "m", wait=1) as holder:
        intents.open_intent(database, Intent("m", 1, "None", "Staging", "ann", "slow server", "validate"), holder)
        make_older(database, "9 minutes")
        move(database, (1, "Staging"))
    assert ledger_rows(database)[0][3:5] == ("validate", "ann")


def test_an_intent_of_a_command_that_is_gone_lends_its_name_to_nobody(database: Database) -> None:
    put_versions(database, 1)
    with model_lock(database, "m", wait=1) as holder:
        intents.open_intent(database, Intent("m", 1, "None", "Staging", "ann", "died", "validate"), holder)
    make_older(database, "11 seconds")
    with model_lock(database, "m", wait=1), model_lock(database, "n", wait=1):  # another command holds the model by now
        move(database, (1, "Staging"))
    assert ledger_rows(database)[0][3:5] == ("out of band", "lockgate")


def make_older(database: Database, age: str) -> None:
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE lockgate.intents SET created_at = created_at - CAST(:age AS interval)"), {"age": age}
        )


def test_the_displaced_version_names_the_one_that_displaced_it(database: Database) -> None:
    put_versions(database, 2)
    move(database, (1, "Production"))
    intents.open_intent(database, Intent("m", 2, "None", "Production", "bob", "better", "promote"))
    move(database, (1, "Archived"), (2, "Production"))
    assert ledger_rows(database)[1:] == [
        (1, "Production", "Archived", "promote", "bob", "displaced by version 2: better"),
        (2, "None", "Production", "promote", "bob", "better"),
    ]


def test_a_swap_in_the_other_order_is_told_alike(database: Database) -> None:
    """A rollback to a lower number: MLflow writes rows in the order of their numbers."""
    put_versions(database, 2)
    move(database, (2, "Production"))
    intents.open_intent(database, Intent("m", 1, "None", "Production", "bob", "bad week", "rollback"))
    move(database, (1, "Production"), (2, "Archived"))
    assert ledger_rows(database)[1:] == [
        (1, "None", "Production", "rollback", "bob", "bad week"),
        (2, "Production", "Archived", "rollback", "bob", "displaced by version 1: bad week"),
    ]


def test_a_version_archived_by_itself_is_not_displaced_by_an_older_neighbour(database: Database) -> None:
    put_versions(database, 2)
    move(database, (1, "Staging"))
    move(database, (2, "Staging"))
    move(database, (1, "Archived"))
    assert ledger_rows(database)[-1] == (1, "Staging", "Archived", "out of band", "lockgate", "out of band")


def test_a_stage_that_is_set_again_leaves_no_row(database: Database) -> None:
    put_versions(database, 1)
    for _ in range(2):
        move(database, (1, "Production"))
    assert len(ledger_rows(database)) == 1


def test_a_move_that_is_rolled_back_leaves_neither_row_nor_alias_and_keeps_its_intent(database: Database) -> None:
    put_versions(database, 1)
    intents.open_intent(database, Intent("m", 1, "None", "Production", "ann", "r", "promote"))
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        connection.execute(text("UPDATE public.model_versions SET current_stage = 'Production'"))
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        _ = 1 / 0
    assert (ledger_rows(database), aliases(database)) == ([], {})
    move(database, (1, "Production"))
    assert ledger_rows(database)[0][4] == "ann"


def test_the_ledger_can_be_read_as_of_a_moment(database: Database) -> None:
    put_versions(database, 1)
    move(database, (1, "Staging"))
    move(database, (1, "Production"))
    first, second = ledger.read(database, "m")
    assert ledger.read(database, "m", at=first.at) == [first]
    assert ledger.read(database, "m", at=first.at - timedelta(microseconds=1)) == []
    assert ledger.read(database, "m", at=second.at) == [first, second]


def test_moves_that_race_are_each_told_once(database: Database) -> None:
    put_versions(database, 8)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda version: move(database, (version, "Staging")), range(1, 9)))
    assert sorted(row[0] for row in ledger_rows(database)) == list(range(1, 9))
    assert aliases(database) == {"staging": 8}


def test_another_workspace_is_not_looked_at(database: Database) -> None:
    put_versions(database, 1, workspace="other")
    move(database, (1, "Production"))
    assert (ledger_rows(database), aliases(database)) == ([], {})


# --- the mirrored aliases --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moves", "mirrored"),
    [
        ([(1, "Staging")], {"staging": 1}),
        ([(1, "Production"), (2, "Staging")], {"production": 1, "staging": 2}),
        ([(1, "Staging"), (2, "Staging")], {"staging": 2}),
        ([(1, "Archived")], {}),
    ],
)
def test_aliases_mirror_the_stages(database: Database, moves: list[tuple[int, str]], mirrored: dict[str, int]) -> None:
    put_versions(database, 2)
    move(database, *moves)
    assert aliases(database) == mirrored


def test_an_emptied_stage_loses_its_alias_and_other_aliases_stay(database: Database) -> None:
    put_versions(database, 2)
    move(database, (1, "Production"))
    with database.transaction() as connection:
        connection.execute(
            text("INSERT INTO public.registered_model_aliases (name, alias, version) VALUES ('m', 'mine', 1)")
        )
    move(database, (1, "Deleted_Internal"))
    assert aliases(database) == {"mine": 1}
