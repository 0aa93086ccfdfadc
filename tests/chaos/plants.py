"""Bugs, planted into a running stack and taken out again: the rules must catch each, or they are worth nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import nan
from typing import Any
from unittest.mock import patch

from chaos import rules
from chaos.evidence import tables
from chaos.scene import Scene
from chaos.shelf import Shelved
from lockgate.database import guard, sql_files, versions
from lockgate.database.connection import Database
from lockgate.database.sql_files import Piece
from lockgate.gate import checks
from lockgate.gate.evidence import Evidence as Measured
from lockgate.gate.evidence import Outcome
from lockgate.operations import score_candidate
from lockgate.problem.params import Policy
from lockgate.registry.client import Registry
from lockgate.registry.error_messages import quiet, translated

TRIGGERS = {trigger.name: trigger for trigger in [*sql_files.guarding_triggers(), *sql_files.recording_triggers()]}
VERSIONS = TRIGGERS["Lockgate_guard_versions"]
ONE_PRODUCTION = TRIGGERS["Lockgate_single_production"]
MOVES = TRIGGERS["guard_moves"]
RECORDER = TRIGGERS["lockgate_record_stage_change"]
DIGEST_KEY = "versions_model_bundle_digest_key"


@contextmanager
def without(model: Shelved, *pieces: Piece) -> Iterator[None]:
    """Pieces of the guard are gone, as if nobody had ever written them."""
    with _mended(model):
        for piece in pieces:
            _run(model.scene, piece.removal)
        yield


@contextmanager
def archive_then_promote() -> Iterator[None]:
    """Two calls instead of one, in the order that seems the safe one."""

    def move(registry: Registry, version: int, stage: str) -> None:
        with translated(), quiet():
            for serving in registry._client.get_latest_versions(registry.model, [stage]):
                registry._client.transition_model_version_stage(registry.model, serving.version, "Archived")
            registry._client.transition_model_version_stage(registry.model, str(version), stage)

    with patch.object(Registry, "move", move):
        yield


@contextmanager
def without_recorder(model: Shelved) -> Iterator[None]:
    """The trigger that records is gone, and the ledger takes rows from anybody."""
    with without(model, RECORDER):
        _run(model.scene, "ALTER TABLE lockgate.ledger DISABLE TRIGGER chain_ledger_row")
        try:
            yield
        finally:
            _run(model.scene, "ALTER TABLE lockgate.ledger ENABLE TRIGGER chain_ledger_row")


@contextmanager
def ledger_beside_the_move(model: Shelved) -> Iterator[None]:
    """Whoever has moved a version writes its row after that, by a call of their own."""
    moves = Registry.move

    def move(registry: Registry, version: int, stage: str) -> None:
        moves(registry, version, stage)
        write_row(model, version, stage)

    with patch.object(Registry, "move", move):
        yield


def write_row(model: Shelved, version: int, stage: str) -> None:
    """A row as good as any: numbered, chained, hashed. Only its transaction is another one."""
    ledger = tables(model.scene, model.name).ledger
    row: dict[str, Any] = dict.fromkeys(rules.HASHED)
    row |= {
        "model": model.name, "seq": str(len(ledger) + 1), "version": str(version), "from_stage": "Staging",
        "to_stage": stage, "command": "promote", "actor": f"{model.problem}.2-the-one", "db_user": "lockgate",
        "reason": f"asked by {model.problem}.2-the-one", "at": "2031-01-01T00:00:00.000000Z",
        "previous_hash": ledger[-1]["hash"] if ledger else "0" * 64,
    }  # fmt: skip
    row["hash"] = rules.hash_of(row)
    with model.scene.asking() as connection, connection.cursor() as cursor:
        names, places = ", ".join(row), ", ".join(["%s"] * len(row))
        cursor.execute(f"INSERT INTO lockgate.ledger ({names}) VALUES ({places})", list(row.values()))


@contextmanager
def no_digest_key(model: Shelved) -> Iterator[None]:
    """A bundle is not looked for before it is registered, and the table takes it twice."""
    looked: list[str] = []

    def version_of(registry: Registry, digest: str) -> Any:
        looked.append(digest)
        if len(looked) % 2:
            return None  # before it is created
        found = registry._client.search_model_versions(f"name = '{registry.model}'")
        return max(found, key=lambda version: int(version.version))

    with _mended(model):
        _run(model.scene, f"ALTER TABLE lockgate.versions DROP CONSTRAINT {DIGEST_KEY}")
        with (
            patch.object(Registry, "_version_of", version_of),
            patch.object(versions, "version_of_digest", lambda *_: None),
        ):
            yield


@contextmanager
def not_at_or_over() -> Iterator[None]:
    """The gate asks whether the error is at or over the limit, and NaN is neither; and the error is NaN."""

    def under_the_limit(evidence: Measured, policy: Policy) -> tuple[Outcome, str]:
        return checks._answer(not (evidence.score >= policy.limit), f"RMSPE {evidence.score}")

    def beats_the_baseline(evidence: Measured, _: Policy) -> tuple[Outcome, str]:
        return checks._answer(not (evidence.score >= evidence.baseline_score), f"RMSPE {evidence.score}")

    def is_credible(evidence: Measured, policy: Policy) -> tuple[Outcome, str]:
        floor = evidence.baseline_score * policy.min_share_of_naive
        return checks._answer(not (evidence.score <= floor), f"RMSPE {evidence.score}")

    asked = {
        "within limit": under_the_limit,
        "better than naive": beats_the_baseline,
        "plausible score": is_credible,
    }
    with patch.dict(checks.CHECKS, asked), unmeasured():
        yield


@contextmanager
def unmeasured() -> Iterator[None]:
    """The candidate's error comes out as NaN: no bug of the gate, but what it must be prepared for."""
    findings = score_candidate._findings

    def without_a_number(*args: Any) -> score_candidate.Findings:
        found = findings(*args)
        return replace(found, evidence=replace(found.evidence, score=nan), metrics=dict(found.metrics) | {"rmspe": nan})

    with patch.object(score_candidate, "_findings", without_a_number):
        yield


@contextmanager
def _mended(model: Shelved) -> Iterator[None]:
    """After the block the model is gone, with whatever must not be, and the guard and the keys are whole again."""
    try:
        yield
    finally:
        _run(
            model.scene,
            "SET session_replication_role = replica",  # no trigger fires: this is a surgeon's work
            f"DELETE FROM model_versions WHERE name = '{model.name}'",
            f"DELETE FROM registered_model_aliases WHERE name = '{model.name}'",
            f"DELETE FROM lockgate.versions WHERE model = '{model.name}'",
            f"ALTER TABLE lockgate.versions DROP CONSTRAINT IF EXISTS {DIGEST_KEY}",
            f"ALTER TABLE lockgate.versions ADD CONSTRAINT {DIGEST_KEY} UNIQUE (model, bundle_digest)",
        )
        guard.install(Database(model.place.where.database_url), "chaos")


def _run(scene: Scene, *statements: str) -> None:
    with scene.asking() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


__all__ = ["MOVES", "ONE_PRODUCTION", "RECORDER", "VERSIONS"]
