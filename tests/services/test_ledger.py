"""The ledger: what it holds of each move, that nobody changes it unnoticed, and who hears of it."""

import json
import select
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from click.testing import CliRunner
from raw_model import RawModel
from sqlalchemy import text

from lockgate.cli import lockgate
from lockgate.database import coverage, ledger, policies
from lockgate.database.connection import Database
from lockgate.errors import BadData, LockgateError, StateConflict
from lockgate.operations import event_log
from lockgate.operations.workspace import Workspace
from lockgate.system.exit_codes import Session, run
from lockgate.system.service_urls import Addresses

PROJECT = Path(__file__).parents[2]
TABLES = ["ledger", "versions", "verdicts", "approvals", "policies", "policy_changes", "guard_changes"]


@pytest.fixture
def model(stack: Addresses) -> RawModel:
    return RawModel(stack, Database(stack.database_url))


@pytest.fixture
def two_productions(model: RawModel) -> RawModel:
    """Version 1 was in Production until version 2 took its place."""
    model.serving()
    model.announce(model.candidate(against=1), "Production", "promote")
    model.transition(2, "Production", archive=True)
    return model


@pytest.fixture
def tamper(psql: Callable[..., str], two_productions: RawModel) -> Iterator[Callable[[str], None]]:
    """SQL on the ledger by a superuser who switches the triggers off and on again."""
    off, on = (f"ALTER TABLE lockgate.ledger {word} TRIGGER ALL;" for word in ("DISABLE", "ENABLE"))
    yield lambda statement: psql(off + statement.format(f"model = '{two_productions.name}'") + ";" + on, "lockgate")


def broken(model: RawModel) -> list[str]:
    return list(ledger.breaks(ledger.read(model.database, model.name)))


# --- what it holds ---------------------------------------------------------------------------------------------------


def test_a_move_up_is_told_with_its_evidence(two_productions: RawModel) -> None:
    row = ledger.read(two_productions.database, two_productions.name)[-1]
    assert (row.version, row.to_stage, row.command, row.actor, row.reason) == (
        2,
        "Production",
        "promote",
        "anna",
        "because",
    )
    assert (row.bundle_digest, row.holdout_digest, row.code_commit) == (two_productions.digest(2), "b" * 64, "c0ffee")
    in_force = policies.changes(two_productions.database, two_productions.name)[-1]
    assert row.policy_digest == in_force.policy_digest
    assert (row.verdict_id is not None, row.intent_id is not None, row.db_user) == (True, True, "mlflow")


def test_a_move_without_an_intent_is_out_of_band_by_the_database_user(model: RawModel) -> None:
    model.serving()
    assert model.ledger_rows()[-1] == (1, "Staging", "Production", "out of band", "mlflow")
    assert ledger.read(model.database, model.name)[-1].verdict_id is not None


def test_a_refused_move_leaves_no_row_and_no_gap(two_productions: RawModel) -> None:
    assert two_productions.transition(1, "Staging").status_code == 400
    two_productions.candidate(against=2)
    assert [row.seq for row in ledger.read(two_productions.database, two_productions.name)] == [1, 2, 3, 4, 5, 6]


def test_each_model_has_a_chain_of_its_own(two_productions: RawModel) -> None:
    other = RawModel(two_productions.where, two_productions.database)
    other.serving()
    assert ledger.read(other.database, other.name)[0].previous_hash == ledger.NOTHING_BEFORE
    assert (broken(two_productions), broken(other)) == ([], [])


def test_moves_that_race_are_chained_without_gaps(model: RawModel) -> None:
    versions = []
    for _ in range(12):
        versions.append(model.register())
        model.judge(versions[-1])
    with ThreadPoolExecutor(12) as crowd:
        answers = list(crowd.map(lambda version: model.transition(version, "Staging").status_code, versions))
    rows = ledger.read(model.database, model.name)
    assert [row.seq for row in rows] == list(range(1, answers.count(200) + 1))
    assert broken(model) == []


def test_the_database_and_the_code_compute_the_same_hash_whatever_the_text(database: Database) -> None:
    odd = ["", "-", "3:abc,4", "naïve ☂ 𝄞", "line\nbreak\ttab", "'\"\\"]
    with database.transaction() as connection:
        for version, reason in enumerate(odd, start=1):
            connection.execute(
                text(
                    "INSERT INTO lockgate.ledger"
                    " (model, version, from_stage, to_stage, command, actor, reason, db_user)"
                    " VALUES ('m', :version, 'None', 'Archived', 'adopt', 'ann', :reason, 'x')"
                ),
                {"version": version, "reason": reason},
            )
    rows = ledger.read(database, "m")
    assert [row.hash for row in rows] == [ledger.hash_of(row) for row in rows]
    assert list(ledger.breaks(rows)) == []


# --- nobody changes it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement", ["UPDATE lockgate.{} SET {} = {}", "DELETE FROM lockgate.{}", "TRUNCATE lockgate.{} CASCADE"]
)
def test_what_is_on_record_is_only_added_to(database: Database, table: str, statement: str) -> None:
    column = {"policies": "digest", "guard_changes": "actor", "policy_changes": "actor"}.get(table, "model")
    with pytest.raises(StateConflict) as refusal, database.transaction() as connection:
        connection.execute(text(statement.format(table, column, column)))
    assert str(refusal.value).startswith(f"{table} is append-only") or "is append-only" in str(refusal.value)


def test_nobody_writes_a_row_by_hand(database: Database) -> None:
    with pytest.raises(StateConflict, match="takes rows only from the trigger"), database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO lockgate.ledger (model, version, from_stage, to_stage, command, actor, reason, db_user)"
                " VALUES ('m', 1, 'Staging', 'Production', 'promote', 'eve', 'r', 'x')"
            )
        )


def test_mlflows_role_has_no_way_into_the_schema(home: Path) -> None:
    from lockgate.stack import embedded_postgres

    as_mlflow = Database(embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE))
    with pytest.raises(LockgateError, match="lacks a right"):
        ledger.read(as_mlflow, None)


# --- what a superuser does is found ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE lockgate.ledger SET reason = 'x' WHERE {} AND seq = 2", "row 2 (version 1 to Production) {}"),
        ("UPDATE lockgate.ledger SET at = now() WHERE {} AND seq = 5", "row 5 (version 2 to Production) {}"),
        ("DELETE FROM lockgate.ledger WHERE {} AND seq = 3", "row 3 is missing before row 4"),
        ("DELETE FROM lockgate.ledger WHERE {} AND seq = 1", "row 1 is missing before row 2"),
        (
            "UPDATE lockgate.ledger SET actor = 'eve' WHERE {0} AND seq = 2;"
            "UPDATE lockgate.ledger AS entry SET hash = lockgate.ledger_hash(entry) WHERE {0} AND seq = 2",
            "row 3 does not follow row 2",
        ),
    ],
)  # fmt: skip
def test_a_row_that_a_superuser_touched_is_found(
    two_productions: RawModel, tamper: Callable[[str], None], statement: str, found: str
) -> None:
    assert broken(two_productions) == []
    tamper(statement)
    assert broken(two_productions) == [f"{two_productions.name}: {found.format('was changed later')}"]


def test_rows_cut_off_at_the_end_are_found_by_an_earlier_export(
    two_productions: RawModel, tamper: Callable[[str], None]
) -> None:
    exported = ledger.read(two_productions.database, two_productions.name)
    tamper("DELETE FROM lockgate.ledger WHERE {} AND seq = 5")
    now = ledger.read(two_productions.database, two_productions.name)
    assert list(ledger.breaks(now)) == []
    assert list(ledger.departures(now, exported)) == [f"{two_productions.name}: row 5 of the export is gone"]
    assert list(ledger.departures(exported, now)) == []
    assert list(ledger.departures([replace(row, actor="eve") for row in now], now)) != []


# --- export ----------------------------------------------------------------------------------------------------------


def test_an_export_is_read_back_as_it_was_and_can_be_verified_elsewhere(two_productions: RawModel) -> None:
    rows = ledger.read(two_productions.database, two_productions.name)
    lines = [ledger.as_json_line(row) for row in rows]
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4, 5]
    again = ledger.from_json_lines(lines)
    assert (again, list(ledger.breaks(again))) == (rows, [])


@pytest.mark.parametrize("line", ["{", "[]", '{"seq": 1}', '{"at": "yesterday"}'])
def test_a_line_that_is_no_export_is_refused_with_its_number(line: str) -> None:
    with pytest.raises(BadData, match="line 2"):
        ledger.from_json_lines(["", line])


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(two_productions: RawModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """The command line in a folder whose problem is the model; gives exit code and output."""
    two_lives_params = (PROJECT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(two_lives_params)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", two_productions.where.tracking_uri)
    monkeypatch.setenv("LOCKGATE_DATABASE_URL", two_productions.where.database_url)
    monkeypatch.setattr("lockgate.problem.params.Params.model_name", two_productions.name)

    def shell(*words: str) -> tuple[int, str]:
        runner, session = CliRunner(), Session()
        with runner.isolation() as (out, *_):
            code = run(lambda: lockgate.main(list(words), obj=session, standalone_mode=False), session)
            return code, out.getvalue().decode()

    return shell


def test_ledger_verify_ends_with_0_or_with_7_and_the_row(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]], tamper: Callable[[str], None]
) -> None:
    code, out = shell("ledger", "verify")
    assert (code, out.startswith(f"{two_productions.name}: 5 rows, all unchanged")) == (0, True)
    tamper("UPDATE lockgate.ledger SET actor = 'eve' WHERE {} AND seq = 2")
    assert shell("ledger", "verify")[0] == 7
    assert shell("status")[0] == 5


@pytest.mark.parametrize(
    "words",
    ["promote", "approve", "reject", "rollback --to", "show", "verdict", "validate", "refit"],
)
def test_a_version_that_is_not_there_is_named_and_nothing_becomes_of_it(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]], tmp_path: Path, words: str
) -> None:
    (tmp_path / "data" / "prepared").mkdir(parents=True)
    before = ledger.read(two_productions.database, two_productions.name)
    reason = [] if words in ("show", "verdict", "validate") else ["--reason", "x"]
    assert shell(*words.split(), "99", *reason, "--result-json", "how.json") == (5, "")
    assert json.loads((tmp_path / "how.json").read_text())["message"] == f"{two_productions.name} has no version 99"
    assert ledger.read(two_productions.database, two_productions.name) == before


def test_an_export_by_the_command_line_proves_later_that_nothing_is_gone(
    shell: Callable[..., tuple[int, str]], tamper: Callable[[str], None]
) -> None:
    Path("kept.jsonl").write_text(shell("ledger", "export")[1])
    assert shell("ledger", "verify", "--export", "kept.jsonl")[0] == 0
    tamper("DELETE FROM lockgate.ledger WHERE {} AND seq = 5")
    assert shell("ledger", "verify", "--export", "kept.jsonl")[0] == 7


@pytest.mark.parametrize("first", [1, 3, 5])
def test_a_ledger_that_was_cut_off_at_its_end_is_noticed_without_an_export(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]], tamper: Callable[[str], None], first: int
) -> None:
    tamper(f"DELETE FROM lockgate.ledger WHERE {{}} AND seq >= {first}")
    assert ledger.missing_tail(two_productions.database, two_productions.name) == [
        f"{two_productions.name}: the ledger ends with row {first - 1}, its head is row 5: rows were removed"
    ]
    assert shell("ledger", "verify")[0] == 7
    assert shell("status")[0] == 5


def test_guard_status_reject_and_retire_by_the_command_line(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]]
) -> None:
    code, out = shell("guard", "status")
    assert (code, out.splitlines()[0].startswith("guard installed, last installed by ")) == (0, True)
    waiting = two_productions.candidate(against=2)
    code, out = shell("approve", str(waiting), "--reason", "looks right", "--by", "rita")
    assert (code, out.startswith(f"version {waiting} approved by rita on verdict ")) == (0, True)
    assert shell("reject", str(waiting), "--reason", "on second thought") == (
        0, f"version {waiting} rejected; it went from Staging to Archived\n"
    )  # fmt: skip
    assert shell("approve", str(waiting), "--reason", "no, it is fine")[0] == 5
    assert shell("retire", "--reason", "the chain was sold", "--yes")[0] == 0
    assert shell("status")[0] == 0
    assert "retire" in shell("history")[1]


def test_a_ledger_that_a_superuser_emptied_with_its_head_is_noticed(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]], psql: Callable[..., str]
) -> None:
    where = f"WHERE model = '{two_productions.name}'"
    psql(
        "SET session_replication_role = replica;"
        f"DELETE FROM lockgate.ledger {where}; DELETE FROM lockgate.ledger_heads {where}",
        "lockgate",
    )
    assert shell("ledger", "verify")[0] == 7


def test_a_model_is_covered_and_uncovered_by_the_command_line(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]]
) -> None:
    name, other = two_productions.name, f"{two_productions.name}-other"
    assert shell("guard", "cover", other) == (0, f"{other} is now under the guard\n")
    assert shell("guard", "cover", other) == (0, f"{other} is already under the guard\n")
    code, out = shell("guard", "status", "--json")
    found = json.loads(out)
    assert (code, found["default"], {name, other} <= set(found["covered"])) == (0, "open", True)
    assert shell("guard", "uncover", other, "--yes") == (0, f"{other} is no longer under the guard\n")
    assert shell("guard", "uncover", other, "--yes") == (0, f"{other} is not under the guard\n")
    assert shell("guard", "uncover", name, "--yes")[0] == 0
    code, out = shell("status", "--json")
    uncovered = f"guard is whole: {name} is not covered; put it under the guard with: lockgate guard cover {name}"
    assert (code, json.loads(out)["broken"]) == (5, [uncovered])
    assert shell("guard", "cover", name)[0] == 0
    assert shell("status")[0] == 0


def test_the_default_of_params_yaml_is_taken_over_by_guard_install(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]], tmp_path: Path, database: Database,
    database_url: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """On a database of this test alone: the default is that of a whole server."""
    monkeypatch.setenv("LOCKGATE_DATABASE_URL", database_url)
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("  default: open ", "  default: closed "))
    code, out = shell("guard", "install")
    assert (code, "default: closed (the guard covers every other model too)" in out) == (0, True)
    assert coverage.read(database).default == "closed"
    params.write_text(params.read_text().replace("  default: closed ", "  default: shut "))
    assert shell("guard", "install")[0] == 8


def test_history_tells_moves_verdicts_and_policies_in_one_line_of_time(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]]
) -> None:
    two_productions.judge(2, "refused")
    code, out = shell("history", "--json")
    events = [(event["kind"], event.get("to_stage") or event.get("outcome")) for event in json.loads(out)]
    assert code == 0
    assert events == [
        ("policy", None), ("verdict", "passed"), ("move", "Staging"), ("move", "Production"), ("verdict", "passed"),
        ("move", "Staging"), ("move", "Archived"), ("move", "Production"), ("verdict", "refused"),
    ]  # fmt: skip


def test_history_has_the_newest_last_and_as_many_as_asked_for(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]]
) -> None:
    everything = json.loads(shell("history", "--json")[1])
    assert json.loads(shell("history", "--json", "--limit", "2")[1]) == everything[-2:]
    moment = everything[-2]["at"]
    assert json.loads(shell("history", "--json", "--since", moment)[1]) == everything[-2:]
    assert shell("history", "--limit", "1")[1].splitlines()[-1].startswith(moment[:10])
    assert shell("history", "--since", "yesterday")[0] == 2


def test_moves_stand_in_the_order_of_the_ledger_whatever_their_clocks_said(
    two_productions: RawModel, shell: Callable[..., tuple[int, str]], tamper: Callable[[str], None]
) -> None:
    before = [event.get("seq") for event in json.loads(shell("history", "--json")[1]) if event["kind"] == "move"]
    tamper("UPDATE lockgate.ledger SET at = at - interval '1 hour' WHERE {} AND seq = 3")
    after = [event.get("seq") for event in json.loads(shell("history", "--json")[1]) if event["kind"] == "move"]
    assert after == before == sorted(before)


def test_history_at_a_moment_says_who_was_live_then(two_productions: RawModel) -> None:
    rows = ledger.read(two_productions.database, two_productions.name)
    backend = Workspace(two_productions.name, two_productions.where, two_productions.database, "anna", 5.0)
    live = [event_log.live(backend, row.at) for row in rows]
    assert [row and row.version for row in live] == [None, 1, 1, 2, 2]


# --- who listens -----------------------------------------------------------------------------------------------------


def test_who_listens_hears_that_production_moved(model: RawModel) -> None:
    url = model.where.database_url.replace("postgresql+psycopg2://", "postgresql://")
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute("LISTEN lockgate_production")
        model.serving()
        select.select([connection], [], [], 10)
        connection.poll()
        heard = [json.loads(notify.payload) for notify in connection.notifies]
    assert heard == [{"model": model.name, "version": 1, "from": "Staging", "to": "Production", "seq": 2}]
