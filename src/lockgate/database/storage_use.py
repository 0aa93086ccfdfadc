"""Queries of `lockgate gc`: what each version occupies in MLflow, what needs it, and how its run is erased.

Every function is one transaction of its own.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from lockgate.database.connection import Database, with_retries
from lockgate.errors import StateConflict
from lockgate.lifecycle.retention import Holding
from lockgate.lifecycle.stages import Stage

# A deleted version is listed as long as its run or its logged model is there: their rows go last.
# Shared: another living version, of whatever model, names the same run, source or files, or was copied from this one.
SELECT_HOLDINGS = """
    WITH verdict AS (
        SELECT DISTINCT ON (version) * FROM lockgate.verdicts WHERE model = :model ORDER BY version, id DESC
    ), approval AS (
        SELECT DISTINCT ON (version) * FROM lockgate.approvals WHERE model = :model ORDER BY version, id DESC
    ), own AS (
        SELECT version, thing
        FROM lockgate.versions,
            LATERAL (VALUES ('run ' || run_id), ('source ' || source), ('files ' || storage_location),
                            (format('source models:/%s/%s', model, version))) AS held (thing)
        WHERE model = :model
    ), used AS (
        SELECT workspace, name, version, thing
        FROM public.model_versions,
            LATERAL (VALUES ('run ' || run_id), ('source ' || source), ('files ' || storage_location)) AS held (thing)
        WHERE current_stage <> 'Deleted_Internal'
    ), shared AS (
        SELECT own.version
        FROM own
        JOIN used ON used.thing = own.thing
            AND (used.workspace, used.name, used.version) <> ('default', :model, own.version)
    )
    SELECT registry.version, registry.current_stage AS stage,
           extract(epoch FROM clock_timestamp()) - registry.creation_time / 1000.0 AS age,
           ours.version IS NOT NULL AS registered_by_us,
           verdict.outcome AS verdict,
           coalesce(clock_timestamp() >= verdict.decided_at + make_interval(days => policy.verdict_valid_days), false)
               AS verdict_expired,
           approval.decision,
           coalesce(approval.decision = 'approved' AND approval.verdict_id = verdict.id, false) AS approved,
           registry.version IN (
               SELECT version FROM lockgate.intents
               WHERE model = :model AND consumed_at IS NULL AND to_stage <> 'Deleted_Internal'
                 AND (created_at > clock_timestamp() - interval '10 seconds' OR lockgate.holds_model(holder, model))
           ) AS intended,
           registry.version IN (
               SELECT version FROM lockgate.ledger
               WHERE (model, to_stage, command) = (:model, 'Deleted_Internal', 'gc')
           ) AS collected,
           registry.version IN (SELECT version FROM shared) AS shared,
           EXISTS (
               SELECT FROM lockgate.predictions AS logged
               WHERE (logged.model, logged.version) = (registry.name, registry.version)
           ) AS logged
    FROM public.model_versions AS registry
    LEFT JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (registry.name, registry.version)
    LEFT JOIN verdict ON verdict.version = registry.version
    LEFT JOIN approval ON approval.version = registry.version
    LEFT JOIN lockgate.policy_in_force(:model) AS policy ON true
    WHERE registry.workspace = 'default' AND registry.name = :model
      AND registry.version = coalesce(:version, registry.version)
      AND (registry.current_stage <> 'Deleted_Internal'
           OR ours.run_id IN (SELECT run_uuid FROM public.runs)
           OR ours.source IN (SELECT 'models:/' || model_id FROM public.logged_models))
    ORDER BY registry.version
"""
SELECT_BELONGINGS = """
    SELECT run.run_uuid AS run_id, run.artifact_uri AS run_files, run.lifecycle_stage = 'active' AS run_shown,
           logged.model_id, logged.artifact_location AS model_files,
           logged.lifecycle_stage = 'active' AS model_shown
    FROM lockgate.versions AS ours
    LEFT JOIN public.runs AS run ON run.run_uuid = ours.run_id
    LEFT JOIN public.logged_models AS logged ON 'models:/' || logged.model_id = ours.source
    WHERE (ours.model, ours.version) = (:model, :version)
"""

STILL_SHOWN = """
    SELECT EXISTS (SELECT FROM public.runs WHERE (run_uuid, lifecycle_stage) = (:run_id, 'active') FOR UPDATE)
        OR EXISTS (
            SELECT FROM public.logged_models WHERE (model_id, lifecycle_stage) = (:model_id, 'active') FOR UPDATE
        )
"""
# MLflow's own gc would also erase what other users have deleted on the server.
ERASE = [
    """
    DELETE FROM public.input_tags AS tag USING public.inputs AS link
    WHERE tag.input_uuid = link.input_uuid
      AND (link.source_id IN (:run_id, :model_id) OR link.destination_id IN (:run_id, :model_id))
    """,
    "DELETE FROM public.inputs WHERE source_id IN (:run_id, :model_id) OR destination_id IN (:run_id, :model_id)",
    "DELETE FROM public.logged_models WHERE model_id = :model_id",
    "DELETE FROM public.metrics WHERE run_uuid = :run_id",
    "DELETE FROM public.latest_metrics WHERE run_uuid = :run_id",
    "DELETE FROM public.params WHERE run_uuid = :run_id",
    "DELETE FROM public.tags WHERE run_uuid = :run_id",
    "DELETE FROM public.runs WHERE run_uuid = :run_id",
]


@dataclass(frozen=True)
class Belongings:
    """A version's run and logged model in MLflow, where their files are, and whether MLflow still shows them."""

    run_id: str | None
    run_files: str | None
    run_shown: bool | None
    model_id: str | None
    model_files: str | None
    model_shown: bool | None


@with_retries
def of_model(database: Database, model: str, version: int | None = None) -> list[Holding]:
    """Every version (or the named one) that takes up room, oldest first; ages and expiry by the database's clock."""
    values = {"model": model, "version": version}
    with database.transaction() as connection:
        rows = [dict(row) for row in connection.execute(text(SELECT_HOLDINGS), values).mappings()]
    return [
        Holding(**row | {"stage": Stage(row["stage"]), "age": timedelta(seconds=float(row["age"]))}) for row in rows
    ]


@with_retries
def belongings(database: Database, model: str, version: int) -> Belongings:
    """What belongs to a version that was registered by us, as far as it is still there."""
    with database.transaction() as connection:
        row = connection.execute(text(SELECT_BELONGINGS), {"model": model, "version": version}).one()
    return Belongings(*row)


@with_retries
def erase(database: Database, belonging: Belongings) -> None:
    """Take the rows of a run and a logged model that are marked deleted out of MLflow's tables, for good.

    Raises StateConflict if one of the two was restored meanwhile; then both stay.
    """
    names = {"run_id": belonging.run_id, "model_id": belonging.model_id}
    with database.transaction() as connection:
        if connection.scalar(text(STILL_SHOWN), names):
            raise StateConflict(f"run {belonging.run_id} was restored in MLflow", hint="say it again: lockgate gc")
        for statement in ERASE:
            connection.execute(text(statement), names)
