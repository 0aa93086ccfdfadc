"""Who is about to move what, and why: told to the database just before MLflow is asked, and what it would object to."""

from dataclasses import asdict, dataclass

from sqlalchemy import text

from lockgate.database.connection import Database

INSERT_INTENT = """
    INSERT INTO lockgate.intents (model, version, from_stage, to_stage, actor, reason, command)
    VALUES (:model, :version, :from_stage, :to_stage, :actor, :reason, :command)
    RETURNING id
"""
WITHDRAW_INTENT = "DELETE FROM lockgate.intents WHERE id = :id AND consumed_at IS NULL"
OBJECTION_TO_RISE = """
    SELECT objection.says, objection.hint
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


@dataclass(frozen=True)
class Objection:
    """Why the database would refuse a move or a decision, and what to do about it."""

    says: str
    hint: str


def open_intent(database: Database, intent: Intent) -> int:
    """Say who is about to move what; the trigger consumes it if the move comes within ten minutes. Gives its number."""
    with database.transaction() as connection:
        return int(connection.execute(text(INSERT_INTENT), asdict(intent)).scalar_one())


def withdraw_intent(database: Database, intent_id: int) -> None:
    """The move did not happen: no later one by somebody else may be taken for it. A consumed intent stays."""
    with database.transaction() as connection:
        connection.execute(text(WITHDRAW_INTENT), {"id": intent_id})


def objection_to_rise(database: Database, intent: Intent) -> Objection | None:
    """What the guard would say now to this move up; None if nothing stands in its way. Nothing is written."""
    with database.transaction() as connection:
        row = connection.execute(text(OBJECTION_TO_RISE), asdict(intent)).one()
    return Objection(row.says, row.hint) if row.says else None
