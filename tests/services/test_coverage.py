"""Which models are under the guard: the others behave as on a plain MLflow server, in every workspace."""

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from raw_model import RawModel, said
from sqlalchemy import text

from lockgate.database import coverage, guard, ledger
from lockgate.database.connection import Database
from lockgate.errors import LockgateError, StateConflict
from lockgate.operations import status
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses

counter = itertools.count(1)
OF_ONE_MODEL = {"creation_timestamp", "last_updated_timestamp", "run_id", "source"}


@pytest.fixture
def plain(stack: Addresses) -> RawModel:
    """A model of a team that does not use Lockgate, on the server of one that does."""
    return RawModel(stack, Database(stack.database_url), f"plain-{next(counter)}", is_covered=False)


def swap(model: RawModel, old: int, new: int) -> None:
    assert model.transition(new, "Production", archive=True).status_code == 200
    assert model.stages() == {old: "Archived", new: "Production"}


# --- a model that is not covered -------------------------------------------------------------------------------------


def answers(model: RawModel) -> list[Any]:
    """MLflow's answers to all that its users do with a registered model; without names, identifiers and times."""
    asked: list[Any] = []

    def ask(method: str, path: str, **values: Any) -> None:
        answer = model.ask(method, path, **values)
        body = json.loads(answer.text.replace(model.name, "NAME"))
        asked.append((path, answer.status_code, without_identifiers(body)))

    versions = [model.add() for _ in range(4)]
    name = {"name": model.name}
    for version, stage, archive in [
        (1, "Production", False), (2, "Production", False), (3, "Staging", False), (3, "Production", True),
        (1, "None", False), (1, "Staging", False), (2, "staging", False), (4, "Archived", False),
        (4, "Production", False), (4, "nowhere", False),
    ]:  # fmt: skip
        ask("POST", "model-versions/transition-stage", **name, version=str(version), stage=stage,
            archive_existing_versions=archive)  # fmt: skip
        ask("GET", "registered-models/get", **name)
    for alias in ("production", "Staging", "champion"):
        ask("POST", "registered-models/alias", **name, alias=alias, version="1")
        ask("GET", "registered-models/alias", **name, alias=alias)
        ask("DELETE", "registered-models/alias", **name, alias=alias)
    ask("POST", "registered-models/get-latest-versions", **name, stages=["Production", "Staging", "None"])
    for key in ("approval", "approved_by", "lockgate.bundle_digest"):
        ask("POST", "model-versions/set-tag", **name, version="1", key=key, value="maybe")
        ask("DELETE", "model-versions/delete-tag", **name, version="1", key=key)
    ask("PATCH", "model-versions/update", **name, version="1", description="words")
    ask("DELETE", "model-versions/delete", **name, version=str(versions[0]))
    ask("DELETE", "model-versions/delete", **name, version="4")
    ask("POST", "registered-models/rename", **name, new_name=f"{model.name}-renamed")
    ask("GET", "registered-models/get", name=f"{model.name}-renamed")
    ask("DELETE", "registered-models/delete", name=f"{model.name}-renamed")
    return asked


def without_identifiers(answer: Any) -> Any:
    """A part of an answer; lists in an order of their own, since MLflow asks for none."""
    if isinstance(answer, dict):
        return {key: without_identifiers(value) for key, value in answer.items() if key not in OF_ONE_MODEL}
    if isinstance(answer, list):
        return sorted(map(without_identifiers, answer), key=json.dumps)
    return answer


def test_a_model_that_is_not_covered_gets_the_answers_of_a_plain_server(stack: Addresses) -> None:
    """The same requests with the guard and, on another model, without any trigger of Lockgate."""
    database = Database(stack.database_url)
    guarded = answers(RawModel(stack, database, "plain-guarded", is_covered=False))
    triggers = [*guard_triggers(database)]
    try:
        with database.transaction() as connection:
            for _, table, name in triggers:
                connection.execute(text(f'DROP TRIGGER "{name}" ON {table}'))
        bare = answers(RawModel(stack, database, "plain-bare", is_covered=False))
    finally:
        guard.install(database, "test")
    assert guarded == bare
    assert {status for _, status, _ in guarded} == {200, 400}
    assert guard.status(database).faults == ()


def guard_triggers(database: Database) -> Iterator[tuple[str, str, str]]:
    query = """
        SELECT pg_get_triggerdef(oid), tgrelid::regclass::text, tgname FROM pg_trigger
        WHERE tgname ILIKE 'lockgate%' AND NOT tgisinternal
    """
    with database.transaction() as connection:
        for row in connection.execute(text(query)):
            yield row[0], row[1], row[2]


def test_nothing_of_it_is_recorded_or_mirrored(plain: RawModel) -> None:
    plain.add()
    assert plain.transition(1, "Production").status_code == 200
    assert plain.ledger_rows() == []
    assert "aliases" not in plain.ask("GET", "registered-models/get", name=plain.name).json()["registered_model"]


def test_a_status_tells_that_the_model_of_the_project_is_not_covered(plain: RawModel) -> None:
    where = Workspace(plain.name, plain.where, plain.database, "anna", 10.0)
    plain.add()
    assert status.status(where).broken == ()
    plain.transition(1, "Production")
    assert status.status(where).broken == (
        f"guard is whole: {plain.name} is not covered; put it under the guard with: lockgate guard cover {plain.name}",
    )
    coverage.cover(plain.database, plain.name, "anna")
    assert status.status(where).broken == ()


# --- cover and uncover -----------------------------------------------------------------------------------------------


def test_a_covered_model_is_taken_over_as_it_stands(plain: RawModel) -> None:
    for version, stage in ((plain.add(), "Production"), (plain.add(), "Staging"), (plain.add(), "None")):
        plain.transition(version, stage)
    assert coverage.cover(plain.database, plain.name, "anna") is True
    assert coverage.cover(plain.database, plain.name, "anna") is False
    assert plain.ledger_rows() == [(1, "None", "Production", "adopt", "anna"), (2, "None", "Staging", "adopt", "anna")]
    model = plain.ask("GET", "registered-models/get", name=plain.name).json()["registered_model"]
    assert {alias["alias"]: alias["version"] for alias in model["aliases"]} == {"production": "1", "staging": "2"}
    assert said(plain.transition(3, "Staging"))[:2] == (
        400,
        f"version 3 of {plain.name} stays in None: it was registered outside Lockgate, so it has no verdict",
    )
    assert "may not be deleted" in said(
        plain.ask("DELETE", "model-versions/delete", name=plain.name, version="1")
    )[1]  # fmt: skip


def test_the_first_version_that_lockgate_registers_covers_its_model(plain: RawModel) -> None:
    plain.register()
    assert coverage.covers(plain.database, plain.name)
    assert "it has no verdict" in said(plain.transition(1, "Staging"))[1]


def test_a_model_with_two_in_production_is_not_covered_before_that_is_resolved(plain: RawModel) -> None:
    for _ in range(2):
        plain.transition(plain.add(), "Production")
    with pytest.raises(
        StateConflict, match=r"versions 1, 2 of .* are all in Production: archive all but one"
    ) as refusal:
        coverage.cover(plain.database, plain.name, "anna")
    assert refusal.value.hint == f"resolve it in MLflow, then: lockgate guard cover {plain.name}"
    assert not coverage.covers(plain.database, plain.name)
    plain.transition(1, "Archived")
    assert coverage.cover(plain.database, plain.name, "anna") is True


def test_an_uncovered_model_is_plain_again_and_its_ledger_stays(plain: RawModel) -> None:
    coverage.cover(plain.database, plain.name, "anna")
    first = plain.serving()
    assert coverage.uncover(plain.database, plain.name, "anna") is True
    assert coverage.uncover(plain.database, plain.name, "anna") is False
    second = plain.add()
    assert plain.transition(second, "Production").status_code == 200
    assert plain.stages() == {first: "Production", second: "Production"}
    assert [row.to_stage for row in ledger.read(plain.database, plain.name)] == ["Staging", "Production"]
    assert guard.status(plain.database).faults == ()


def test_a_covered_name_may_be_covered_before_the_model_exists(stack: Addresses) -> None:
    database = Database(stack.database_url)
    coverage.cover(database, "not-there-yet", "anna")
    model = RawModel(stack, database, "not-there-yet", is_covered=False)
    assert said(model.transition(model.add(), "Production"))[0] == 400


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_promotion_that_began_before_the_model_was_covered_does_not_slip_through(
    database: Database, database_url: str, isolation: str
) -> None:
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO public.registered_models (name) VALUES ('m')"))
        connection.execute(
            text("INSERT INTO public.model_versions (name, version, current_stage) VALUES ('m', 1, 'None')")
        )
    with pytest.raises(LockgateError), database.transaction() as connection:
        connection.execute(text(f"SET TRANSACTION ISOLATION LEVEL {isolation}"))
        connection.execute(text("SELECT FROM public.model_versions"))
        coverage.cover(Database(database_url), "m", "anna")
        connection.execute(text("UPDATE public.model_versions SET current_stage = 'Production'"))
    with database.transaction() as connection:
        assert connection.scalar(text("SELECT current_stage FROM public.model_versions")) == "None"


def test_while_clients_promote_a_model_it_is_covered_whole_or_not_at_all(stack: Addresses) -> None:
    """A covered model has one version in Production at most, and its ledger agrees with the registry."""
    database = Database(stack.database_url, timeout=60)
    for _ in range(5):
        model = RawModel(stack, database, f"plain-{next(counter)}", is_covered=False)
        versions = [model.add() for _ in range(4)]
        with ThreadPoolExecutor(5) as pool:
            moves = [pool.submit(model.transition, version, "Production", True) for version in versions]
            covering = pool.submit(coverage.cover, database, model.name, "anna")
            codes = {move.result().status_code for move in moves}
        assert codes <= {200, 400}
        if covering.exception() is not None:  # plain MLflow has let two of them into Production
            assert "are all in Production" in str(covering.exception())
            assert not coverage.covers(database, model.name)
            continue
        last = {version: to for version, _, to, _, _ in model.ledger_rows()}
        assert last == {version: stage for version, stage in model.stages().items() if stage != "None"}
        assert list(model.stages().values()).count("Production") <= 1
        assert guard.status(database).faults == ()


# --- the default -----------------------------------------------------------------------------------------------------


def rise(database: Database, name: str) -> None:
    with database.transaction() as connection:
        connection.execute(text(f"INSERT INTO public.registered_models (name) VALUES ('{name}')"))
        rows = f"INSERT INTO public.model_versions (name, version, current_stage) VALUES ('{name}', 1, 'None')"
        connection.execute(text(rows))
    with database.transaction() as connection:
        connection.execute(text(f"UPDATE public.model_versions SET current_stage = 'Production' WHERE name = '{name}'"))


def test_closed_by_default_every_model_is_covered_but_for_those_taken_out(database: Database) -> None:
    rise(database, "before")
    assert coverage.set_default(database, "closed", "anna") is True
    assert coverage.set_default(database, "closed", "anna") is False
    assert coverage.read(database) == coverage.Coverage("closed", ("before",))
    assert [row.command for row in ledger.read(database, "before")] == ["adopt"]
    with pytest.raises(StateConflict, match="it may not go from None to Production"):
        rise(database, "later")
    coverage.uncover(database, "taken-out", "anna")
    rise(database, "taken-out")
    assert coverage.set_default(database, "open", "anna") is True
    rise(database, "open-again")
    assert guard.status(database).faults == ()


def test_the_default_is_not_closed_over_violations(database: Database) -> None:
    rise(database, "twice")
    with database.transaction() as connection:
        row = "INSERT INTO public.model_versions (name, version, current_stage) VALUES ('twice', 2, 'Production')"
        connection.execute(text(row))
    with pytest.raises(StateConflict, match="the default of the guard stays open: versions 1, 2 of twice"):
        coverage.set_default(database, "closed", "anna")
    coverage.uncover(database, "twice", "anna")
    assert coverage.read(database).default == "open"


# --- other workspaces of MLflow --------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(database: Database, psql: Callable[..., str], database_url: str, home: Path) -> Callable[[str], None]:
    """Runs SQL on a database in which the models `covered` and `plain` are in the workspace `team` too."""
    coverage.cover(database, "covered", "anna")
    with database.transaction() as connection:
        connection.execute(text("INSERT INTO public.workspaces (name) VALUES ('team') ON CONFLICT DO NOTHING"))
        for name in ("covered", "plain"):
            values = {"name": name}
            connection.execute(
                text("INSERT INTO public.registered_models (workspace, name) VALUES ('team', :name)"), values
            )
            for version in (1, 2):
                statement = (
                    "INSERT INTO public.model_versions (workspace, name, version, current_stage)"
                    f" VALUES ('team', :name, {version}, 'None')"
                )
                connection.execute(text(statement), values)

    def run(statement: str) -> None:
        with database.transaction() as connection:
            connection.execute(text(statement))

    return run


@pytest.mark.parametrize("stage", ["Staging", "Production"])
def test_a_covered_model_holds_in_every_workspace_in_the_words_of_the_guard(
    elsewhere: Callable[[str], None], stage: str
) -> None:
    with pytest.raises(StateConflict) as refusal:
        elsewhere(f"UPDATE public.model_versions SET current_stage = '{stage}' WHERE name = 'covered' AND version = 1")
    assert str(refusal.value).startswith(
        "version 1 of covered in workspace team stays in None: a version of a covered model is judged in the workspace"
        " default"
    )
    assert "lockgate guard uncover covered" in refusal.value.hint


def test_a_model_that_is_not_covered_is_free_in_every_workspace(elsewhere: Callable[[str], None]) -> None:
    elsewhere("UPDATE public.model_versions SET current_stage = 'Production' WHERE name = 'plain'")
    elsewhere(
        "INSERT INTO public.registered_model_aliases (workspace, name, alias, version)"
        " VALUES ('team', 'plain', 'production', 1)"
    )


def test_a_version_does_not_come_into_a_covered_name_in_a_stage(elsewhere: Callable[[str], None]) -> None:
    elsewhere("UPDATE public.model_versions SET current_stage = 'Production' WHERE name = 'plain' AND version = 1")
    elsewhere("DELETE FROM public.model_versions WHERE name = 'covered'")
    elsewhere("DELETE FROM public.registered_models WHERE name = 'covered'")
    with pytest.raises(StateConflict, match="may not come in from another workspace or model in Production"):
        elsewhere("UPDATE public.registered_models SET name = 'covered' WHERE name = 'plain'")


def test_an_alias_of_a_stage_is_refused_in_every_workspace(elsewhere: Callable[[str], None]) -> None:
    with pytest.raises(StateConflict, match="the alias production of covered follows the stage Production"):
        elsewhere(
            "INSERT INTO public.registered_model_aliases (workspace, name, alias, version)"
            " VALUES ('team', 'covered', 'production', 1)"
        )
