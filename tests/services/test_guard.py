"""The guard on a real MLflow server: what it refuses to every client, in which words, and what it lets pass."""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import mlflow
import pytest
from raw_model import POLICY, RawModel, said
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from lockgate.database import coverage, guard, intents, ledger, policies, sql_files, versions
from lockgate.database.connection import Database
from lockgate.database.intents import Intent
from lockgate.database.versions import Registration
from lockgate.errors import StateConflict
from lockgate.operations import status as operations_status
from lockgate.operations.workspace import Workspace
from lockgate.stack import embedded_postgres
from lockgate.system.service_urls import Addresses

STAGES = ["None", "Staging", "Production", "Archived"]
FREE = {("None", "Staging"), ("None", "Archived"), ("Staging", "Production"), ("Staging", "Archived")}
IN_ITS_PLACE = "replace it: lockgate promote or lockgate rollback; or leave the stage empty: lockgate retire"


@pytest.fixture
def model(stack: Addresses) -> RawModel:
    """A model that nobody else moves, under the guard."""
    return RawModel(stack, Database(stack.database_url))


@contextmanager
def as_mlflow(home: Path, name: str = embedded_postgres.DATABASE) -> Iterator[Any]:
    """SQL by the role of the MLflow server, which owns its tables; committed at the end."""
    engine = create_engine(embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE, name))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def refusal_of(home: Path, statement: str) -> str:
    with pytest.raises(DBAPIError) as refusal, as_mlflow(home) as connection:
        connection.execute(text(statement))
    assert refusal.value.orig.pgcode == "23001"
    return str(refusal.value.orig).splitlines()[0]


# --- the table of stages, through MLflow's REST API ------------------------------------------------------------------


def put(model: RawModel, stage: str) -> int:
    """A version with a passed verdict in that stage, and another one that it came after."""
    if stage == "None":
        version = model.register()
        model.judge(version)
    elif stage == "Production":
        version = model.serving()
    else:
        version = model.candidate()
        if stage == "Archived":
            model.transition(version, "Archived")
    assert model.stages()[version] == stage
    return version


@pytest.mark.parametrize(("start", "end"), [pair for pair in product(STAGES, STAGES) if pair[0] != pair[1]])
def test_a_version_with_a_passed_verdict_goes_up_one_gate_at_a_time_and_nowhere_else(
    model: RawModel, start: str, end: str
) -> None:
    version = put(model, start)
    answer = model.transition(version, end)
    if (start, end) in FREE:
        assert (answer.status_code, model.stages()) == (200, {version: end})
    else:
        status, sentence, hint = said(answer)
        assert status == 400
        assert sentence.startswith(f"version {version} of {model.name} stays in {start}: ")
        assert hint
        assert model.stages() == {version: start}


@pytest.mark.parametrize("stage", STAGES)
def test_setting_the_stage_that_it_has_changes_nothing(model: RawModel, stage: str) -> None:
    version = put(model, stage)
    before = model.ledger_rows()
    assert model.transition(version, stage).status_code == 200
    assert model.ledger_rows() == before


# --- what is asked for on the way up ---------------------------------------------------------------------------------


def test_a_version_that_came_past_lockgate_is_refused(model: RawModel) -> None:
    assert said(model.transition(model.add(), "Staging")) == (
        400,
        f"version 1 of {model.name} stays in None: it was registered outside Lockgate, so it has no verdict",
        "register and validate it: dvc repro",
    )


@pytest.mark.parametrize("outcome", [None, "refused", "inconclusive"])
def test_a_version_without_a_passed_verdict_is_refused(model: RawModel, outcome: str | None) -> None:
    version = model.register()
    if outcome:
        model.judge(version, outcome)
    sentence, hint = {
        None: ("it has no verdict", "validate it: lockgate validate 1"),
        "refused": ("the verdict on it is refused", "see why: lockgate verdict 1"),
        "inconclusive": ("the verdict on it is inconclusive", "see why: lockgate verdict 1"),
    }[outcome]
    assert said(model.transition(version, "Staging")) == (
        400,
        f"version 1 of {model.name} stays in None: {sentence}",
        hint,
    )


def test_the_newest_verdict_counts(model: RawModel) -> None:
    version = model.candidate()
    model.judge(version, "refused")
    assert "the verdict on it is refused" in said(model.transition(version, "Production"))[1]
    model.judge(version)
    assert model.transition(version, "Production").status_code == 200


def test_a_verdict_under_another_policy_than_the_one_in_force_is_refused(model: RawModel) -> None:
    version = model.candidate()
    looser = POLICY.model_copy(update={"limit": 0.5})
    policies.put_in_force(model.database, model.name, looser, "mallory")
    assert said(model.transition(version, "Production"))[1:] == (
        f"version 1 of {model.name} stays in Staging: its verdict was given under another policy than the one in force",
        "judge it again: lockgate validate 1",
    )
    policies.put_in_force(model.database, model.name, POLICY, "paul")
    assert model.transition(version, "Production").status_code == 200
    changes = [(change.actor, change.limits["limit"]) for change in policies.changes(model.database, model.name)]
    assert changes == [("paul", 0.1), ("mallory", 0.5), ("paul", 0.1)]


@pytest.mark.parametrize(("days", "passes"), [(29.99, True), (30, False)])
def test_a_verdict_expires_by_the_databases_clock(
    model: RawModel, psql: Callable[..., str], days: float, passes: bool
) -> None:
    version = model.candidate()
    psql(
        "ALTER TABLE lockgate.verdicts DISABLE TRIGGER append_only;"
        f"UPDATE lockgate.verdicts SET decided_at = now() - interval '{days} days' WHERE model = '{model.name}';"
        "ALTER TABLE lockgate.verdicts ENABLE TRIGGER append_only",
        "lockgate",
    )
    answer = model.transition(version, "Production")
    if passes:
        assert answer.status_code == 200
    else:
        assert said(answer)[1].endswith("its verdict has expired: it is older than 30 days")


def test_a_verdict_against_another_version_than_the_serving_one_is_refused(model: RawModel) -> None:
    first = model.serving()
    late = model.candidate()
    assert said(model.transition(late, "Production", archive=True))[1:] == (
        f"version 2 of {model.name} stays in Staging:"
        " it was compared with another version than the one in Production now",
        "judge it again: lockgate validate 2",
    )
    model.judge(late, against=first)
    assert model.transition(late, "Production", archive=True).status_code == 200
    assert model.stages() == {1: "Archived", 2: "Production"}


def test_a_version_that_was_pointed_to_other_files_before_its_verdict_was_used_is_refused(
    model: RawModel, home: Path
) -> None:
    version = model.register()
    model.judge(version)
    with as_mlflow(home) as connection:
        connection.execute(text(f"UPDATE public.model_versions SET source = '/elsewhere' WHERE name = '{model.name}'"))
    assert "points to another run or source" in said(model.transition(version, "Staging"))[1]


# --- one in Production, always ---------------------------------------------------------------------------------------


def test_a_second_one_in_production_is_refused_with_what_to_do(model: RawModel) -> None:
    first = model.serving()
    second = model.candidate(against=first)
    assert said(model.transition(second, "Production")) == (
        400,
        f"version 2 of {model.name} may not go to Production: version 1 is there",
        "archive version 1 in the same step (in MLflow, tick the box for it), or: lockgate promote 2 --reason ...",
    )


def test_archive_then_promote_in_two_calls_is_refused_at_the_first(model: RawModel) -> None:
    first = model.serving()
    model.candidate(against=first)
    assert said(model.transition(first, "Archived")) == (
        400, f"version 1 of {model.name} stays in Production: Production would be empty", IN_ITS_PLACE
    )  # fmt: skip


def test_of_twenty_promotions_at_once_one_is_in_production_and_the_ledger_tells_of_one(model: RawModel) -> None:
    versions = [model.candidate() for _ in range(20)]
    with ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(lambda version: model.transition(version, "Production", archive=True), versions))
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), set(codes) <= {200, 400, 503}) == (1, True)
    winner = versions[codes.index(200)]
    assert [version for version, stage in model.stages().items() if stage == "Production"] == [winner]
    assert [row for row in model.ledger_rows() if row[2] == "Production"] == [
        (
            versions[[answer.status_code for answer in answers].index(200)],
            "Staging",
            "Production",
            "out of band",
            "mlflow",
        )
    ]


def test_a_retirement_is_the_one_way_to_leave_production_empty(model: RawModel) -> None:
    version = model.serving()
    model.announce(version, "Archived", "retire")
    assert model.transition(version, "Archived").status_code == 200
    assert model.ledger_rows()[-1] == (1, "Production", "Archived", "retire", "anna")


# --- rollback --------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_productions(model: RawModel) -> RawModel:
    """Version 1 was in Production until version 2 took its place."""
    model.serving()
    model.transition(model.candidate(against=1), "Production", archive=True)
    return model


def test_only_a_rollback_brings_an_archived_version_back(two_productions: RawModel) -> None:
    assert said(two_productions.transition(1, "Production", archive=True))[1:] == (
        f"version 1 of {two_productions.name} stays in Archived: it may not go from Archived to Production",
        "to bring back what was in Production before: lockgate rollback --to 1 --reason ...",
    )
    two_productions.announce(1, "Production", "rollback")
    assert two_productions.transition(1, "Production", archive=True).status_code == 200
    assert two_productions.stages() == {1: "Production", 2: "Archived"}


def test_what_a_rollback_took_out_never_comes_back(two_productions: RawModel) -> None:
    two_productions.announce(1, "Production", "rollback")
    two_productions.transition(1, "Production", archive=True)
    two_productions.announce(2, "Production", "rollback")
    assert "it is quarantined" in said(two_productions.transition(2, "Production", archive=True))[1]


def test_what_the_last_rollback_took_out_comes_back_by_an_undo(two_productions: RawModel) -> None:
    two_productions.announce(1, "Production", "rollback")
    two_productions.transition(1, "Production", archive=True)
    two_productions.announce(2, "Production", "undo")
    assert two_productions.transition(2, "Production", archive=True).status_code == 200
    assert two_productions.stages() == {1: "Archived", 2: "Production"}
    two_productions.announce(1, "Production", "rollback")
    assert two_productions.transition(1, "Production", archive=True).status_code == 200


def test_an_undo_of_anything_but_the_last_rollback_is_refused(two_productions: RawModel) -> None:
    two_productions.announce(1, "Production", "undo")
    assert said(two_productions.transition(1, "Production", archive=True)) == (
        400,
        f"version 1 of {two_productions.name} stays in Archived:"
        " it is not the version that the last rollback took out of Production",
        "see: lockgate history",
    )
    two_productions.announce(1, "Production", "rollback")
    two_productions.transition(1, "Production", archive=True)
    newer = two_productions.candidate(against=1)
    two_productions.transition(newer, "Production", archive=True)
    two_productions.announce(2, "Production", "undo")
    assert two_productions.transition(2, "Production", archive=True).status_code == 400


def test_a_rollback_to_what_was_never_in_production_is_refused(two_productions: RawModel) -> None:
    never = two_productions.candidate(against=2)
    two_productions.transition(never, "Archived")
    two_productions.announce(never, "Production", "rollback")
    assert "it has never been in Production" in said(two_productions.transition(never, "Production", archive=True))[1]


def test_a_rollback_works_after_the_verdict_has_expired_and_the_policy_has_changed(two_productions: RawModel) -> None:
    policies.put_in_force(
        two_productions.database, two_productions.name, POLICY.model_copy(update={"limit": 0.01}), "paul"
    )
    two_productions.announce(1, "Production", "rollback")
    assert two_productions.transition(1, "Production", archive=True).status_code == 200


# --- deleting, renaming, pointing elsewhere --------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_a_version_in_production_or_staging_is_not_deleted(model: RawModel, stage: str) -> None:
    version = put(model, stage)
    answer = model.ask("DELETE", "model-versions/delete", name=model.name, version=str(version))
    if stage in ("None", "Archived"):
        assert (answer.status_code, model.stages()) == (200, {})
    else:
        assert said(answer)[:2] == (400, f"version 1 of {model.name} may not be deleted: it is in {stage}")
        assert model.stages() == {version: stage}


@pytest.mark.parametrize("stage", ["Staging", "Production"])
def test_a_model_with_a_version_in_a_stage_is_neither_deleted_nor_renamed(model: RawModel, stage: str) -> None:
    put(model, stage)
    deleted = model.ask("DELETE", "registered-models/delete", name=model.name)
    assert said(deleted)[:2] == (400, f"version 1 of {model.name} may not be deleted: it is in {stage}")
    renamed = model.ask("POST", "registered-models/rename", name=model.name, new_name="another")
    assert said(renamed)[1].endswith(f"may not be renamed or pointed to other files: it is in {stage}")


def test_a_model_without_a_version_in_a_stage_may_go(model: RawModel) -> None:
    put(model, "None")
    assert (
        model.ask("POST", "registered-models/rename", name=model.name, new_name=f"{model.name}-new").status_code == 200
    )
    assert model.ask("DELETE", "registered-models/delete", name=f"{model.name}-new").status_code == 200


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE public.model_versions SET source = '/evil' WHERE name = '{}'", "renamed or pointed to other files"),
        (
            "UPDATE public.model_versions SET storage_location = '/evil' WHERE name = '{}'",
            "renamed or pointed to other files",
        ),
        ("UPDATE public.model_versions SET run_id = 'other' WHERE name = '{}'", "renamed or pointed to other files"),
        (
            "UPDATE public.model_versions SET current_stage = 'None' WHERE name = '{}'",
            "may not go from Production to None",
        ),
        (
            "DELETE FROM public.model_version_tags WHERE name = '{0}';"
            "DELETE FROM public.model_versions WHERE name = '{0}'",
            "may not be deleted",
        ),
        (
            "INSERT INTO public.model_versions (workspace, name, version, current_stage)"
            " VALUES ('default', '{}', 9, 'Production')",
            "may not begin in Production",
        ),
        ("UPDATE public.registered_model_aliases SET version = 7 WHERE name = '{}'", "follows the stage Production"),
        ("TRUNCATE model_versions CASCADE", "TRUNCATE of the registry is not allowed"),
    ],
)
def test_the_same_holds_for_sql(model: RawModel, home: Path, change: str, says: str) -> None:
    model.serving()
    assert says in refusal_of(home, change.format(model.name))
    assert model.stages() == {1: "Production"}


# --- aliases ---------------------------------------------------------------------------------------------------------


def alias(model: RawModel, name: str, version: int) -> Any:
    return model.ask("POST", "registered-models/alias", name=model.name, alias=name, version=str(version))


def test_the_mirrored_aliases_cannot_be_set_or_taken_away_by_hand(two_productions: RawModel) -> None:
    refusal = (
        400,
        f"the alias production of {two_productions.name} follows the stage Production and cannot be set by hand:"
        " version 2 is there",
        "move the version, and the alias follows: lockgate promote; or take another name for the alias",
    )
    assert said(alias(two_productions, "production", 1)) == refusal
    assert (
        said(two_productions.ask("DELETE", "registered-models/alias", name=two_productions.name, alias="production"))
        == refusal
    )
    assert "nothing is there" in said(alias(two_productions, "staging", 1))[1]
    assert alias(two_productions, "production", 2).status_code == 200
    assert alias(two_productions, "champion", 1).status_code == 200


def test_a_prompt_keeps_its_own_production_alias(model: RawModel) -> None:
    """MLflow keeps prompts in the same tables, and `production` is the alias that most of them have."""
    prompt = replace(model, name=f"prompt-{model.name}", is_prompt=True, is_covered=False)
    prompt.add()
    assert alias(prompt, "production", 1).status_code == 200
    assert prompt.ask("DELETE", "registered-models/alias", name=prompt.name, alias="production").status_code == 200


def test_mlflow_registers_its_prompts_as_ever(stack: Addresses) -> None:
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        prompt = mlflow.genai.register_prompt(name="greeting", template="Hello {{ name }}")
        mlflow.genai.set_prompt_alias("greeting", "production", prompt.version)
        assert mlflow.genai.load_prompt("prompts:/greeting@production").template == "Hello {{ name }}"


def test_calling_a_model_a_prompt_does_not_free_its_aliases(two_productions: RawModel) -> None:
    two_productions.ask(
        "POST", "registered-models/set-tag", name=two_productions.name, key="mlflow.prompt.is_prompt", value="true"
    )
    assert alias(two_productions, "production", 1).status_code == 400


# --- how a refusal looks ---------------------------------------------------------------------------------------------


def test_a_refusal_has_no_statement_and_no_parameters_in_it(model: RawModel) -> None:
    answers = [
        model.transition(model.add(), "Production"),
        alias(model, "production", 1),
        model.tag(model.candidate(), "approval", "approved"),
    ]
    for answer in answers:
        message = answer.json()["message"]
        assert not any(word in message for word in ("[SQL", "parameters", "UPDATE", "INSERT", "SELECT", "%("))
        assert re.fullmatch("Refused by the gate: [^\n]+\nWhat to do: [^\n]+", message)


def test_the_command_line_shows_the_sentence_and_the_hint_alone(model: RawModel) -> None:
    from lockgate.registry.client import Registry

    version = model.add()
    with pytest.raises(StateConflict) as refusal:
        Registry(model.where, model.name, 10.0).move(version, "Staging")
    assert str(refusal.value) == (
        f"version 1 of {model.name} stays in None: it was registered outside Lockgate, so it has no verdict"
    )
    assert refusal.value.hint == "register and validate it: dvc repro"


# --- an orphan intent ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["validate", "promote", "rollback", "retire", "reject"])
def test_the_intent_of_a_command_that_died_opens_no_way(model: RawModel, command: str) -> None:
    version = model.register()
    for stage in ("Staging", "Production"):
        model.announce(version, stage, command, actor="ghost")
        assert model.transition(version, stage).status_code == 400
    assert model.ledger_rows() == []


# --- status, removal, repair -----------------------------------------------------------------------------------------


def test_the_guard_of_a_fresh_stack_is_whole(database: Database) -> None:
    found = guard.status(database)
    assert (found.installed, found.faults) == (True, ())
    assert (found.last_change, found.last_actor) == ("installed", "lockgate up")
    assert guard.install(database, "anna") is False


DAMAGE = {
    "DROP TRIGGER \"Lockgate_single_production\" ON public.model_versions": (
        "the trigger Lockgate_single_production on public.model_versions is missing"
    ),
    'ALTER TABLE public.model_versions DISABLE TRIGGER "Lockgate_guard_versions"': (
        "the trigger Lockgate_guard_versions on public.model_versions is switched off"
    ),
    "DROP TRIGGER lockgate_record_stage_change ON public.model_versions": (
        "the trigger lockgate_record_stage_change on public.model_versions is missing"
    ),
    "DROP TRIGGER lockgate_guard_aliases ON public.registered_model_aliases;"
    "CREATE TRIGGER lockgate_guard_aliases AFTER INSERT ON public.registered_model_aliases FOR EACH ROW"
    " WHEN (false) EXECUTE FUNCTION lockgate.guard_aliases()": (
        "the trigger lockgate_guard_aliases on public.registered_model_aliases was changed"
    ),
    "DELETE FROM lockgate.legal_moves WHERE command = 'retire'": (
        "the table of legal moves is not that of this code"
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_missing_piece_is_named_by_status_and_put_back_by_install(
    database: Database, psql: Callable[..., str], database_url: str, damage: str
) -> None:
    psql(damage, database_url.split("@/")[1].split("?")[0])
    assert guard.status(database).faults == (DAMAGE[damage],)
    nowhere = Workspace("m", Addresses("http://127.0.0.1:9", database_url), database, "anna", 5.0)
    assert operations_status.status(nowhere).broken == (f"guard is whole: {DAMAGE[damage]}",)
    assert guard.install(database, "anna") is True
    assert guard.status(database).faults == ()


def test_status_names_the_first_of_many_faults_and_the_command_that_names_all(
    psql: Callable[..., str], database_url: str
) -> None:
    psql("GRANT ALL ON ALL TABLES IN SCHEMA lockgate TO PUBLIC", database_url.split("@/")[1].split("?")[0])
    services = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "LOCKGATE_DATABASE_URL": database_url}
    words = [sys.executable, "-m", "lockgate", "status"]
    done = subprocess.run(
        words, cwd=Path(__file__).parents[2], env=os.environ | services, capture_output=True, text=True, timeout=60
    )
    error, hint = done.stderr.splitlines()
    assert (done.returncode, error.count("guard is whole: "), error.count("; ")) == (5, 5, 5)
    assert re.search(r"; and \d+ more$", error)
    assert "lockgate doctor" in hint


def test_without_the_guard_anything_goes_is_recorded_and_is_said(database: Database, database_url: str) -> None:
    coverage.cover(database, "m", "anna")
    assert guard.remove(database, "anna") is True
    assert guard.remove(database, "anna") is False
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO public.registered_models (name) VALUES ('m')"))
        for version in (1, 2):
            connection.execute(
                text("INSERT INTO public.model_versions (name, version, current_stage) VALUES ('m', :version, 'None')"),
                {"version": version},
            )
    with database.transaction() as connection:
        connection.execute(text("UPDATE public.model_versions SET current_stage = 'Production'"))
    broken = operations_status.status(
        Workspace("m", Addresses("http://127.0.0.1:9", database_url), database, "anna", 5.0)
    ).broken
    assert [line.partition(":")[0] for line in broken] == [
        "one version in Production", "every move was legal", "every move was legal", "guard is whole"
    ]  # fmt: skip
    assert "lockgate guard install" in broken[-1]
    assert guard.status(database).last_change == "removed"


def test_a_second_one_in_production_is_refused_to_a_transaction_that_cannot_see_the_first(
    database: Database, database_url: str
) -> None:
    """The trigger on versions is gone, and the transaction reads a snapshot older than the first one's commit."""
    with database.transaction() as connection:
        for trigger in sql_files.guarding_triggers():
            if trigger.name != "Lockgate_single_production":
                connection.execute(text(trigger.removal))
        connection.execute(text("INSERT INTO public.registered_models (name) VALUES ('m')"))
        rows = "('m', 1, 'None'), ('m', 2, 'None')"
        connection.execute(text(f"INSERT INTO public.model_versions (name, version, current_stage) VALUES {rows}"))
    coverage.cover(database, "m", "anna")
    rise = "UPDATE public.model_versions SET current_stage = 'Production' WHERE version = :version"
    with (
        pytest.raises(StateConflict, match="two versions of m may not be in Production"),
        database.transaction() as late,
    ):
        late.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        late.execute(text("SELECT FROM public.model_versions"))
        with Database(database_url).transaction() as early:
            early.execute(text(rise), {"version": 1})
        late.execute(text(rise), {"version": 2})


# --- a registry that was there before --------------------------------------------------------------------------------


FALSE_ALIAS = "INSERT INTO public.registered_model_aliases (name, alias, version) VALUES ('good', 'staging', 3)"
ARCHIVE_ONE = "UPDATE public.model_versions SET current_stage = 'Archived' WHERE name = 'twice' AND version = 1"


@pytest.fixture
def populated(database: Database) -> Database:
    """An MLflow database with a life of its own before Lockgate, violations and all."""
    guard.remove(database, "test")
    with database.transaction() as connection:
        for name, stages in {"twice": ["Production", "Production"], "good": ["Archived", "Production", "None"]}.items():
            connection.execute(text("INSERT INTO public.registered_models (name) VALUES (:name)"), {"name": name})
            for version, stage in enumerate(stages, start=1):
                values = {"name": name, "version": version, "stage": stage}
                connection.execute(
                    text(
                        "INSERT INTO public.model_versions (name, version, current_stage)"
                        " VALUES (:name, :version, :stage)"
                    ),
                    values,
                )
        connection.execute(
            text("INSERT INTO public.registered_model_aliases (name, alias, version) VALUES ('good', 'staging', 3)")
        )
    for name in ("twice", "good"):
        coverage.cover(database, name, "test")
    return database


VIOLATIONS = [
    "versions 1, 2 of twice are all in Production: archive all but one",
    "the alias staging of good points to version 3, and nothing is in Staging: take the alias away",
]


def test_violations_that_are_there_already_are_listed_and_nothing_is_changed(populated: Database) -> None:
    assert guard.violations(populated) == VIOLATIONS
    with pytest.raises(StateConflict) as refusal:
        guard.install(populated, "anna")
    assert all(violation in str(refusal.value) for violation in VIOLATIONS)
    assert refusal.value.exit_code == 5
    assert guard.status(populated).installed is False
    assert ledger.read(populated, None) == []


def test_once_they_are_resolved_the_guard_goes_on_and_the_past_is_told_as_found(populated: Database) -> None:
    with populated.transaction() as connection:
        connection.execute(
            text("UPDATE public.model_versions SET current_stage = 'Archived' WHERE name = 'twice' AND version = 1")
        )
        connection.execute(text("DELETE FROM public.registered_model_aliases"))
    assert guard.install(populated, "anna") is True
    assert (guard.violations(populated), guard.status(populated).faults) == ([], ())
    rows = [(row.model, row.version, row.to_stage, row.command) for row in ledger.read(populated, "good")]
    assert rows == [("good", 1, "Archived", "adopt"), ("good", 2, "Production", "adopt")]
    with populated.transaction() as connection:
        aliases = connection.execute(
            text("SELECT name, alias, version FROM public.registered_model_aliases ORDER BY name")
        )
        assert [tuple(row) for row in aliases] == [("good", "production", 2), ("twice", "production", 2)]


def test_nobody_adopts_a_version_under_the_guard(database: Database) -> None:
    """The way in for what was found at the installation is closed after it."""
    coverage.cover(database, "m", "anna")
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO public.registered_models (name) VALUES ('m')"))
        connection.execute(
            text("INSERT INTO public.model_versions (name, version, current_stage) VALUES ('m', 1, 'None')")
        )
    intents.open_intent(database, Intent("m", 1, "None", "Production", "eve", "please", "adopt"))
    with (
        pytest.raises(StateConflict, match="was registered outside Lockgate"),
        database.transaction() as connection,
    ):
        connection.execute(text("UPDATE public.model_versions SET current_stage = 'Production'"))


# --- MLflow's own migrations -----------------------------------------------------------------------------------------


def test_the_guard_survives_mlflow_db_upgrade(database: Database, database_url: str) -> None:
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", database_url]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    assert guard.status(database).faults == ()


@pytest.mark.parametrize("column", ["current_stage TYPE varchar(60)", "current_stage TYPE text", "source TYPE text"])
def test_mlflow_may_change_the_type_of_a_column_that_the_guard_reads(database: Database, column: str) -> None:
    """Postgres refuses that for a column that a trigger's definition names; ours name none."""
    with database.transaction() as connection:
        connection.execute(text(f"ALTER TABLE public.model_versions ALTER COLUMN {column}"))
    assert guard.status(database).faults == ()


def test_a_policy_that_wants_no_approval_and_one_that_does_are_two_policies() -> None:
    from lockgate.gate.verdict import policy_digest

    stricter = [POLICY.model_copy(update=each) for each in ({"approval_required": True}, {"verdict_valid_days": 7})]
    assert len({policy_digest(each) for each in [POLICY, *stricter]}) == 3


def test_another_model_of_the_same_server_is_not_held_up(model: RawModel) -> None:
    other = replace(model, name=f"{model.name}-other")
    model.serving()
    assert other.serving() == 1


# --- what a version in use needs ------------------------------------------------------------------------------------


def run_of(model: RawModel, version: int) -> str:
    return next(row.run_id or "" for row in versions.stages(model.database, model.name) if row.version == version)


def past_productions(model: RawModel, count: int) -> list[int]:
    """Versions that were in Production one after the other; the last one is there now."""
    served: list[int] = []
    for _ in range(count):
        served.append(model.candidate(against=served[-1] if served else None))
        assert model.transition(served[-1], "Production", archive=True).status_code == 200
    return served


@pytest.mark.parametrize("stage", ["Staging", "Production"])
def test_the_run_of_a_version_in_use_is_not_deleted(model: RawModel, stage: str) -> None:
    version = put(model, stage)
    refused = model.ask("POST", "runs/delete", run_id=run_of(model, version))
    assert said(refused)[:2] == (
        400,
        f"run {run_of(model, version)} may not be deleted or moved: version {version} of {model.name} is in {stage}",
    )


def test_other_runs_are_deleted_and_restored_as_ever(model: RawModel) -> None:
    for version in (model.register(), model.add(), put(model, "Archived")):
        run = run_of(model, version)
        assert model.ask("POST", "runs/delete", run_id=run).status_code == 200
        assert model.ask("POST", "runs/restore", run_id=run).status_code == 200
        assert model.ask("POST", "runs/update", run_id=run, status="FINISHED").status_code == 200


def test_the_last_three_rollback_targets_and_their_runs_stay_and_older_ones_may_go(model: RawModel) -> None:
    oldest, *targets, _ = past_productions(model, 5)
    for version in targets:
        sentence = said(model.ask("DELETE", "model-versions/delete", name=model.name, version=str(version)))[1]
        assert sentence == f"version {version} of {model.name} may not be deleted: it is a rollback target"
        assert model.ask("POST", "runs/delete", run_id=run_of(model, version)).status_code == 400
    gone = model.ask("DELETE", "model-versions/delete", name=model.name, version=str(oldest))
    assert gone.status_code == 200
    assert set(model.stages()) == {*targets, targets[-1] + 1}


def test_a_quarantined_version_is_no_rollback_target_and_may_go(model: RawModel) -> None:
    first, second = past_productions(model, 2)
    model.announce(first, "Production", "rollback")
    assert model.transition(first, "Production", archive=True).status_code == 200
    gone = model.ask("DELETE", "model-versions/delete", name=model.name, version=str(second))
    assert gone.status_code == 200


def test_a_model_with_rollback_targets_is_neither_deleted_nor_renamed(model: RawModel) -> None:
    past_productions(model, 2)
    assert model.ask("DELETE", "registered-models/delete", name=model.name).status_code == 400
    renamed = model.ask("POST", "registered-models/rename", name=model.name, new_name=f"{model.name}-other")
    assert renamed.status_code == 400


@pytest.mark.parametrize("alias", ["Production", "PRODUCTION", "Staging", "sTaging"])
def test_an_alias_that_clients_read_as_a_stage_is_refused_whatever_its_capitals(model: RawModel, alias: str) -> None:
    version = model.serving()
    refused = model.ask("POST", "registered-models/alias", name=model.name, alias=alias, version=str(version))
    assert said(refused)[1].startswith(f"the alias {alias} of {model.name} follows the stage {alias.capitalize()}")


@pytest.mark.parametrize("value", ["0" * 64, ""])
def test_the_tag_that_names_the_bundle_is_neither_changed_nor_taken_away(model: RawModel, value: str) -> None:
    version, key = model.register(), "lockgate.bundle_digest"
    assert model.tag(version, key, model.digest(version)).status_code == 200
    assert said(model.tag(version, key, value))[1].startswith(f"the tag {key} of version {version}")
    gone = model.ask("DELETE", "model-versions/delete-tag", name=model.name, version=str(version), key=key)
    assert gone.status_code == 400
    assert model.tag(version, "note", "anything").status_code == 200
    assert model.ask("DELETE", "model-versions/delete", name=model.name, version=str(version)).status_code == 200


@pytest.mark.parametrize(("key", "value"), [("verdict", "passed"), ("verdict_id", "1")])
def test_the_tags_of_the_verdict_repeat_the_newest_one(model: RawModel, key: str, value: str) -> None:
    version = model.register()
    assert model.tag(version, key, value).status_code == 200  # there is no verdict yet
    verdict = model.judge(version, "refused")
    on_record = {"verdict": "refused", "verdict_id": str(verdict.id)}[key]
    assert said(model.tag(version, key, f"{value}0"))[1] == (
        f"the tag {key} of version {version} of {model.name} repeats a record and may not be changed"
    )
    assert model.tag(version, key, on_record).status_code == 200
    gone = model.ask("DELETE", "model-versions/delete-tag", name=model.name, version=str(version), key=key)
    assert gone.status_code == 400


def test_the_logged_model_of_a_version_in_use_is_not_deleted(home: Path, model: RawModel) -> None:
    """Nor renamed or moved; by SQL, as the MLflow server does it."""
    version = model.serving()
    with as_mlflow(home) as connection:
        connection.execute(text(
            "INSERT INTO public.logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms,"
            " last_updated_timestamp_ms, status, lifecycle_stage)"
            " VALUES (:id, 0, 'model', 'mlflow-artifacts:/x', 0, 0, 2, 'active')"),
            {"id": f"m-{model.name}"})  # fmt: skip
    with model.database.transaction() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table, column in (("public.model_versions", "name"), ("lockgate.versions", "model")):
            statement = f"UPDATE {table} SET source = :source WHERE {column} = :name AND version = :version"
            values = {"source": f"models:/m-{model.name}", "name": model.name, "version": version}
            connection.execute(text(statement), values)
    for change in ("SET lifecycle_stage = 'deleted'", "SET artifact_location = 'mlflow-artifacts:/elsewhere'"):
        sentence = refusal_of(home, f"UPDATE public.logged_models {change} WHERE model_id = 'm-{model.name}'")
        assert sentence == (
            f"logged model m-{model.name} may not be deleted or moved:"
            f" version {version} of {model.name} is in Production"
        )
    refusal_of(home, f"DELETE FROM public.logged_models WHERE model_id = 'm-{model.name}'")


def test_the_experiment_of_a_version_in_use_is_not_deleted(model: RawModel) -> None:
    """MLflow deletes the runs of an experiment with it."""
    experiment = model.ask("POST", "experiments/create", name=f"of {model.name}").json()["experiment_id"]
    run = model.ask("POST", "runs/create", experiment_id=experiment).json()["run"]["info"]
    source = f"{run['artifact_uri']}/model"
    answer = model.ask("POST", "model-versions/create", name=model.name, source=source, run_id=run["run_id"])
    version = int(answer.json()["model_version"]["version"])
    record = Registration(model.name, version, model.digest(version), run["run_id"], {})
    versions.record_version(model.database, record)
    model.judge(version)
    assert model.transition(version, "Staging").status_code == 200
    assert model.ask("POST", "experiments/delete", experiment_id=experiment).status_code == 400
