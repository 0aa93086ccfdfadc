"""What schema lockgate remembers: versions, verdicts, intents, the ledger; and the stages, as MLflow has them.

Every function is one transaction of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from lockgate.database import Database
from lockgate.errors import StateConflict

Json = Mapping[str, object]


@dataclass(frozen=True)
class Registration:
    """A version and the bundle that it is bound to for good."""

    model: str
    version: int
    bundle_digest: str
    run_id: str
    lineage: Json


@dataclass(frozen=True)
class Version(Registration):
    """A registration with the database's time of it."""

    registered_at: datetime


@dataclass(frozen=True)
class VersionRow:
    """A version as MLflow's registry has it now; without a bundle digest if it came past us."""

    version: int
    stage: str
    bundle_digest: str | None
    run_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class Digests:
    """Everything that a verdict looked at. `serving_digest` is the bundle compared with, None if there was none."""

    bundle_digest: str
    holdout_digest: str
    policy_digest: str
    serving_digest: str | None


@dataclass(frozen=True)
class Verdict:
    """What the gate said of a version. Metrics may be NaN or infinite; in checks they come back as texts."""

    model: str
    version: int
    digests: Digests
    outcome: str
    checks: Sequence[Json]
    metrics: Mapping[str, float]
    code_commit: str
    actor: str


@dataclass(frozen=True)
class StoredVerdict(Verdict):
    """A verdict with its number and the database's time of it."""

    id: int
    decided_at: datetime

    def unstored(self) -> Verdict:
        """The verdict without number and time, to be given once more."""
        return Verdict(**{each.name: getattr(self, each.name) for each in fields(Verdict)})


@dataclass(frozen=True)
class Intent:
    """Who is about to move what and why; the ledger takes it from here when MLflow makes the move."""

    model: str
    version: int
    from_stage: str
    to_stage: str
    actor: str
    reason: str
    command: str
    evidence: Json = field(default_factory=dict)


@dataclass(frozen=True)
class LedgerRow:
    """One stage change. A move without an intent has the command `out of band`, and the database user as its actor."""

    id: int
    model: str
    version: int
    from_stage: str
    to_stage: str
    command: str
    actor: str
    reason: str
    db_user: str
    intent_id: int | None
    bundle_digest: str | None
    verdict_id: int | None
    at: datetime


# --- versions --------------------------------------------------------------------------------------------------------

INSERT_VERSION = """
    INSERT INTO lockgate.versions (model, version, bundle_digest, run_id, lineage)
    VALUES (:model, :version, :bundle_digest, :run_id, :lineage)
    ON CONFLICT DO NOTHING
"""
SELECT_VERSION = """
    SELECT model, version, bundle_digest, run_id, lineage, registered_at
    FROM lockgate.versions
    WHERE model = :model AND (version = :version OR bundle_digest = :bundle_digest)
    ORDER BY version
"""
SELECT_ALIASES = """
    SELECT alias, version FROM public.registered_model_aliases WHERE workspace = 'default' AND name = :model
"""
SELECT_STAGES = """
    SELECT registry.version, registry.current_stage, ours.bundle_digest, registry.run_id,
           to_timestamp(registry.creation_time / 1000.0)
    FROM public.model_versions AS registry
    LEFT JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (registry.name, registry.version)
    WHERE registry.workspace = 'default' AND registry.name = :model AND registry.current_stage <> 'Deleted_Internal'
    ORDER BY registry.version
"""

SELECT_ALIASES = """
    SELECT alias, version FROM public.registered_model_aliases WHERE workspace = 'default' AND name = :model
"""


def record_version(database: Database, registration: Registration) -> Version:
    """Bind a version to its bundle. Saying the same again changes nothing and returns what was recorded first.

    Raises StateConflict if the version is bound to another bundle, or the bundle to another version.
    """
    with database.transaction() as connection:
        connection.execute(_with_json(INSERT_VERSION, "lineage"), asdict(registration))
        known = [Version(*row) for row in connection.execute(text(SELECT_VERSION), asdict(registration))]
    if [_binding(each) for each in known] != [_binding(registration)]:
        raise StateConflict(
            f"{registration.model}: {_binding(registration)} contradicts {', '.join(map(_binding, known))}",
            where=database.address,
            hint="the registry and schema lockgate disagree; restore both from one backup",
        )
    return known[0]


def version_of_digest(database: Database, model: str, bundle_digest: str) -> Version | None:
    """The version that holds this bundle."""
    return _one_version(database, {"model": model, "version": None, "bundle_digest": bundle_digest})


def recorded_version(database: Database, model: str, version: int) -> Version | None:
    """A version with its lineage, if it was registered by us."""
    return _one_version(database, {"model": model, "version": version, "bundle_digest": None})


def stages(database: Database, model: str) -> list[VersionRow]:
    """Every version of the model that is not deleted, oldest first, straight from MLflow's table."""
    with database.transaction() as connection:
        return [VersionRow(*row) for row in connection.execute(text(SELECT_STAGES), {"model": model})]


def aliases(database: Database, model: str) -> dict[str, int]:
    """MLflow's aliases of the model, and the version that each points to."""
    with database.transaction() as connection:
        return {row.alias: row.version for row in connection.execute(text(SELECT_ALIASES), {"model": model})}


def _one_version(database: Database, values: Mapping[str, object]) -> Version | None:
    with database.transaction() as connection:
        row = connection.execute(text(SELECT_VERSION), values).one_or_none()
    return None if row is None else Version(*row)


def _binding(registration: Registration) -> str:
    return f"version {registration.version} with bundle {registration.bundle_digest[:12]}"


# --- verdicts --------------------------------------------------------------------------------------------------------

INSERT_VERDICT = """
    INSERT INTO lockgate.verdicts
        (model, version, bundle_digest, holdout_digest, policy_digest, serving_digest, outcome, checks, metrics,
         code_commit, actor)
    SELECT model, version, bundle_digest, :holdout_digest, :policy_digest, :serving_digest, :outcome, :checks, :metrics,
           :code_commit, :actor
    FROM lockgate.versions
    WHERE (model, version, bundle_digest) = (:model, :version, :bundle_digest)
    RETURNING *
"""
FIND_VERDICT = """
    SELECT *
    FROM lockgate.verdicts
    WHERE (model, bundle_digest, holdout_digest, policy_digest)
        = (:model, :bundle_digest, :holdout_digest, :policy_digest)
      AND serving_digest IS NOT DISTINCT FROM :serving_digest
    ORDER BY id DESC LIMIT 1
"""
LATEST_VERDICT = """
    SELECT *
    FROM lockgate.verdicts
    WHERE model = :model AND version = coalesce(:version, version)
    ORDER BY id DESC LIMIT 1
"""
LATEST_VERDICTS = """
    SELECT DISTINCT ON (version) *
    FROM lockgate.verdicts
    WHERE model = :model
    ORDER BY version, id DESC
"""
SELECT_SHOWN_VERDICT = """
    SELECT value FROM public.model_version_tags
    WHERE workspace = 'default' AND name = :model AND version = :version AND key = 'verdict_id'
"""


def record_verdict(database: Database, verdict: Verdict) -> StoredVerdict:
    """Keep a verdict for good. Raises StateConflict if its version is not recorded with the same bundle."""
    values = asdict(verdict) | asdict(verdict.digests)
    values |= {"checks": _finite(values["checks"]), "metrics": _finite(values["metrics"])}
    with database.transaction() as connection:
        row = connection.execute(_with_json(INSERT_VERDICT, "checks", "metrics"), values).one_or_none()
    if row is None:
        raise StateConflict(
            f"{verdict.model} has no version {verdict.version} with bundle {verdict.digests.bundle_digest[:12]}",
            where=database.address,
            hint="register the bundle first",
        )
    return _verdict(row)


def find_verdict(database: Database, model: str, digests: Digests) -> StoredVerdict | None:
    """The newest verdict that looked at exactly these four."""
    return _one_verdict(database, FIND_VERDICT, {"model": model} | asdict(digests))


def latest_verdict(database: Database, model: str, version: int | None) -> StoredVerdict | None:
    """The newest verdict on a version, whatever it looked at; on any version of the model for None."""
    return _one_verdict(database, LATEST_VERDICT, {"model": model, "version": version})


def latest_verdicts(database: Database, model: str) -> dict[int, StoredVerdict]:
    """The newest verdict on each version of the model."""
    with database.transaction() as connection:
        verdicts = [_verdict(row) for row in connection.execute(text(LATEST_VERDICTS), {"model": model})]
    return {verdict.version: verdict for verdict in verdicts}


def shown_verdict(database: Database, model: str, version: int) -> int | None:
    """The number of the verdict that the version's page in MLflow shows."""
    with database.transaction() as connection:
        shown = connection.execute(
            text(SELECT_SHOWN_VERDICT), {"model": model, "version": version}
        ).scalar_one_or_none()
    return int(shown) if shown and shown.isdecimal() else None


def _one_verdict(database: Database, query: str, values: Mapping[str, object]) -> StoredVerdict | None:
    with database.transaction() as connection:
        row = connection.execute(text(query), values).one_or_none()
    return None if row is None else _verdict(row)


def _verdict(row: Row[Any]) -> StoredVerdict:
    values = dict(row._mapping)
    values["digests"] = Digests(**{each.name: values.pop(each.name) for each in fields(Digests)})
    values["metrics"] = {name: float(value) for name, value in values["metrics"].items()}
    return StoredVerdict(**values)


# --- intents and ledger ----------------------------------------------------------------------------------------------

INSERT_INTENT = """
    INSERT INTO lockgate.intents (model, version, from_stage, to_stage, actor, reason, command, evidence)
    VALUES (:model, :version, :from_stage, :to_stage, :actor, :reason, :command, :evidence)
    RETURNING id
"""
WITHDRAW_INTENT = "DELETE FROM lockgate.intents WHERE id = :id AND consumed_at IS NULL"
SELECT_LEDGER = """
    SELECT id, model, version, from_stage, to_stage, command, actor, reason, db_user, intent_id, bundle_digest,
           verdict_id, at
    FROM lockgate.ledger
    WHERE model = :model AND at <= coalesce(:at, 'infinity'::timestamptz)
    ORDER BY id
"""


def open_intent(database: Database, intent: Intent) -> int:
    """Say who is about to move what; the trigger consumes it if the move comes within ten minutes. Gives its number."""
    with database.transaction() as connection:
        return int(connection.execute(_with_json(INSERT_INTENT, "evidence"), asdict(intent)).scalar_one())


def withdraw_intent(database: Database, intent_id: int) -> None:
    """The move did not happen: no later one by somebody else may be taken for it. A consumed intent stays."""
    with database.transaction() as connection:
        connection.execute(text(WITHDRAW_INTENT), {"id": intent_id})


def ledger(database: Database, model: str, at: datetime | None = None) -> list[LedgerRow]:
    """What happened to the model's stages, oldest first; up to a moment (with its time zone) if one is given."""
    with database.transaction() as connection:
        return [LedgerRow(*row) for row in connection.execute(text(SELECT_LEDGER), {"model": model, "at": at})]


def _with_json(statement: str, *names: str) -> TextClause:
    return text(statement).bindparams(*(bindparam(name, type_=JSONB) for name in names))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are kept as the texts nan, inf and -inf, which float() reads back."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
