"""Table intents: who is about to make which move, and why; written before MLflow is called, read by the trigger."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from sqlalchemy import text

from lockgate.database.connection import Database, with_retries

INSERT_INTENT = """
    INSERT INTO lockgate.intents (model, version, from_stage, to_stage, actor, reason, command, holder)
    VALUES (:model, :version, :from_stage, :to_stage, :actor, :reason, :command, :holder)
    RETURNING id
"""
WITHDRAW_INTENT = "DELETE FROM lockgate.intents WHERE id = :id AND consumed_at IS NULL"
IS_CONSUMED = "SELECT consumed_at IS NOT NULL FROM lockgate.intents WHERE id = :id"
MARK_REPORTED = "UPDATE lockgate.intents SET reported_at = clock_timestamp() WHERE id = :id"
UNREPORTED = """
    SELECT intent.id, intent.version, intent.from_stage, intent.to_stage, intent.command,
           array(SELECT version FROM lockgate.ledger
                 WHERE (model, intent_id) = (intent.model, intent.id) AND version <> intent.version)
    FROM lockgate.intents AS intent
    WHERE (intent.model, intent.actor, intent.reason) = (:model, :actor, :reason)
      AND intent.command = ANY (:commands) AND intent.reported_at IS NULL
      AND NOT lockgate.holds_model(intent.holder, intent.model)
      AND intent.id = (
          SELECT intent_id FROM lockgate.ledger
          WHERE model = :model AND (version = :version OR :version IS NULL AND 'Production' IN (from_stage, to_stage))
          ORDER BY seq DESC LIMIT 1
      )
"""
OBJECTION_TO_RISE = """
    SELECT objection.reason, objection.hint
    FROM lockgate.objection_to_rise(:model, :version, :to_stage, :actor, (
        SELECT ours.bundle_digest
        FROM public.model_versions AS serving
        JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (serving.name, serving.version)
        WHERE (serving.workspace, serving.name, serving.current_stage) = ('default', :model, 'Production')
        LIMIT 1
    )) AS objection
"""


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


class CommandKey(NamedTuple):
    """What makes two commands the same: which command it may be, the actor, the reason."""

    commands: Sequence[str]
    actor: str
    reason: str


@dataclass(frozen=True)
class UnreportedIntent:
    """An intent whose move was made by a command that was killed before it reported the move.

    `archives` are the versions that the move archived.
    """

    id: int
    version: int
    from_stage: str
    to_stage: str
    command: str
    archives: Sequence[int]


@dataclass(frozen=True)
class Objection:
    """Why the database would refuse a move or a decision, and what to do about it."""

    reason: str
    hint: str


@with_retries
def open_intent(database: Database, intent: Intent, holder: int | None = None) -> int:
    """Record who is about to move which version; the trigger consumes the intent with the move. Returns its number.

    It counts only while the database session `holder` has the model's lock, and for ten seconds in any case, because a
    sent move may still arrive. The same move by another client, later, does not get this name.
    """
    with database.transaction() as connection:
        return int(connection.execute(text(INSERT_INTENT), asdict(intent) | {"holder": holder}).scalar_one())


@with_retries
def withdraw_intent(database: Database, intent_id: int) -> None:
    """Delete the intent of a move that did not happen, so that no later move gets its name. A consumed one stays."""
    with database.transaction() as connection:
        connection.execute(text(WITHDRAW_INTENT), {"id": intent_id})


@with_retries
def is_consumed(database: Database, intent_id: int) -> bool:
    """Whether the move of this intent was made."""
    with database.transaction() as connection:
        return bool(connection.scalar(text(IS_CONSUMED), {"id": intent_id}))


@with_retries
def mark_reported(database: Database, intent_id: int) -> None:
    """Record that the command reports the move that was made for the intent."""
    with database.transaction() as connection:
        connection.execute(text(MARK_REPORTED), {"id": intent_id})


@with_retries
def unreported(database: Database, model: str, key: CommandKey, version: int | None = None) -> UnreportedIntent | None:
    """The intent of the newest move of a version (without a version: of Production).

    None unless a command with this key made the move and was killed before it reported the move.
    """
    values = key._asdict() | {"model": model, "commands": list(key.commands), "version": version}
    with database.transaction() as connection:
        row = connection.execute(text(UNREPORTED), values).one_or_none()
    return None if row is None else UnreportedIntent(*row)


@with_retries
def objection_to_rise(database: Database, intent: Intent) -> Objection | None:
    """The objection of the guard to this move up now; None if there is none. Nothing is written."""
    with database.transaction() as connection:
        row = connection.execute(text(OBJECTION_TO_RISE), asdict(intent)).one()
    return Objection(row.reason, row.hint) if row.reason else None
