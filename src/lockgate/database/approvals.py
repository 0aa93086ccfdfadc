"""Table approvals: decisions of people on versions, bound to bundle and verdict, and their tags in MLflow."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from lockgate.database.connection import Database, with_retries
from lockgate.errors import StateConflict


class Decision(StrEnum):
    """What a person may say; `withdrawn` comes from a tag that was taken away in MLflow."""

    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Statement:
    """A decision to be recorded: who decided, who writes it down, and why."""

    model: str
    version: int
    decision: Decision
    decided_by: str
    recorded_by: str
    reason: str


@dataclass(frozen=True)
class Approval:
    """A decision on record. `recorded_by` is MLflow's database user where a tag was set in its UI."""

    id: int
    version: int
    bundle_digest: str
    verdict_id: int | None
    decision: str
    decided_by: str
    recorded_by: str
    reason: str
    at: datetime


COLUMNS = "id, version, bundle_digest, verdict_id, decision, decided_by, recorded_by, reason, at"
OBJECTION = "SELECT reason, hint FROM lockgate.objection_to_decision(:model, :version, :decision)"
INSERT_APPROVAL = f"""
    INSERT INTO lockgate.approvals
        (model, version, bundle_digest, verdict_id, decision, decided_by, recorded_by, reason)
    SELECT model, version, bundle_digest, (lockgate.newest_verdict(model, version)).id, :decision, :decided_by,
           :recorded_by, :reason
    FROM lockgate.versions
    WHERE (model, version) = (:model, :version)
    RETURNING {COLUMNS}
"""  # noqa: S608 - our own names only
SHOW_IN_MLFLOW = """
    INSERT INTO public.model_version_tags (workspace, name, version, key, value)
    VALUES ('default', :model, :version, 'approval', :decision),
           ('default', :model, :version, 'approved_by', :decided_by),
           ('default', :model, :version, 'approval_reason', :reason)
    ON CONFLICT (workspace, key, name, version) DO UPDATE SET value = excluded.value
"""
SELECT_APPROVALS = f"SELECT {COLUMNS} FROM lockgate.approvals WHERE model = :model ORDER BY id"  # noqa: S608


@with_retries
def record(database: Database, statement: Statement) -> Approval:
    """Keep a decision and show it on the version's page. The same said again changes nothing.

    Raises StateConflict, with what to do, for a version that cannot be decided on.
    """
    with database.transaction() as connection:
        objection = connection.execute(text(OBJECTION), asdict(statement)).one()
        if objection.reason:
            raise StateConflict(
                f"version {statement.version} cannot be {statement.decision}: {objection.reason}", hint=objection.hint
            )
        standing = _standing(connection, statement)
        if standing is not None:
            return standing
        row = connection.execute(text(INSERT_APPROVAL), asdict(statement)).one()
        connection.execute(text(SHOW_IN_MLFLOW), asdict(statement))
        return Approval(*row)


@with_retries
def of_model(database: Database, model: str) -> list[Approval]:
    """Every decision on the model's versions, oldest first."""
    with database.transaction() as connection:
        return [Approval(*row) for row in connection.execute(text(SELECT_APPROVALS), {"model": model})]


STANDING = f"""
    SELECT {COLUMNS}
    FROM lockgate.newest_approval(:model, :version)
    WHERE (decision, decided_by) = (:decision, :decided_by)
      AND verdict_id IS NOT DISTINCT FROM (lockgate.newest_verdict(:model, :version)).id
"""  # noqa: S608 - our own names only


def _standing(connection: Connection, statement: Statement) -> Approval | None:
    """The decision on record, if the same person has just said the same of the same verdict."""
    row = connection.execute(text(STANDING), asdict(statement)).one_or_none()
    return None if row is None else Approval(*row)
