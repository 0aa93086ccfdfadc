"""What each version of a model takes up in MLflow, what speaks for keeping it, and how its run is erased for good.

Every function is one transaction of its own.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from lockgate.database.connection import Database
from lockgate.errors import StateConflict
from lockgate.lifecycle import Stage
from lockgate.retention import Holding

# A deleted version is listed as long as its run or its logged model is there: their rows go last.
# A version's run, source and files are its own if no other living version of any model names one of them.
SELECT_HOLDINGS = """
    WITH living AS (
        SELECT thing, count(*) AS times
        FROM public.model_versions,
            LATERAL (VALUES ('run ' || run_id), ('source ' || source), ('files ' || storage_location)) AS named (thing)
        WHERE current_stage <> 'Deleted_Internal' AND thing IS NOT NULL
        GROUP BY thing
    )
    SELECT registry.version, registry.current_stage AS stage,
           extract(epoch FROM clock_timestamp()) - registry.creation_time / 1000.0 AS age,
           ours.version IS NOT NULL AS registered_by_us,
           verdict.outcome AS verdict,
           coalesce(clock_timestamp() >= verdict.decided_at + make_interval(days => policy.verdict_valid_days), false)
               AS verdict_expired,
           approval.decision,
           coalesce(approval.decision = 'approved' AND approval.verdict_id = verdict.id, false) AS approved,
           EXISTS (
               SELECT FROM lockgate.intents AS intent
               WHERE (intent.model, intent.version) = (registry.name, registry.version) AND intent.consumed_at IS NULL
                 AND intent.created_at > clock_timestamp() - interval '10 minutes'
           ) AS intended,
           EXISTS (
               SELECT FROM lockgate.ledger AS entry
               WHERE (entry.model, entry.version, entry.to_stage, entry.command)
                   = (registry.name, registry.version, 'Deleted_Internal', 'gc')
           ) AS collected,
           EXISTS (
               SELECT FROM living WHERE thing = format('source models:/%s/%s', registry.name, registry.version)
               UNION ALL
               SELECT
               FROM (VALUES ('run ' || ours.run_id, 'run ' || registry.run_id),
                            ('source ' || ours.source, 'source ' || registry.source),
                            ('files ' || ours.storage_location, 'files ' || registry.storage_location)
                    ) AS own (recorded, named)
               JOIN living ON living.thing = own.recorded
               WHERE living.times > (registry.current_stage <> 'Deleted_Internal'
                                     AND own.named IS NOT DISTINCT FROM own.recorded)::integer
           ) AS shared
    FROM public.model_versions AS registry
    LEFT JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (registry.name, registry.version)
    LEFT JOIN LATERAL lockgate.newest_verdict(registry.name, registry.version) AS verdict ON true
    LEFT JOIN LATERAL lockgate.newest_approval(registry.name, registry.version) AS approval ON true
    LEFT JOIN lockgate.policy_in_force(:model) AS policy ON true
    WHERE registry.workspace = 'default' AND registry.name = :model
      AND registry.version = coalesce(:version, registry.version)
      AND (registry.current_stage <> 'Deleted_Internal'
           OR EXISTS (SELECT FROM public.runs AS run WHERE run.run_uuid = ours.run_id)
           OR EXISTS (SELECT FROM public.logged_models AS logged WHERE 'models:/' || logged.model_id = ours.source))
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
# MLflow's own gc would also erase what anybody else has deleted on the server.
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


def of_model(database: Database, model: str, version: int | None = None) -> list[Holding]:
    """Every version (or the named one) that takes up room, oldest first; ages and expiry by the database's clock."""
    values = {"model": model, "version": version}
    with database.transaction() as connection:
        rows = [dict(row) for row in connection.execute(text(SELECT_HOLDINGS), values).mappings()]
    return [
        Holding(**row | {"stage": Stage(row["stage"]), "age": timedelta(seconds=float(row["age"]))}) for row in rows
    ]


def belongings(database: Database, model: str, version: int) -> Belongings:
    """What belongs to a version that was registered by us, as far as it is still there."""
    with database.transaction() as connection:
        row = connection.execute(text(SELECT_BELONGINGS), {"model": model, "version": version}).one()
    return Belongings(*row)


def erase(database: Database, belonging: Belongings) -> None:
    """Take the rows of a run and a logged model that are marked deleted out of MLflow's tables, for good.

    Raises StateConflict if somebody has restored one of the two meanwhile; then both stay.
    """
    names = {"run_id": belonging.run_id, "model_id": belonging.model_id}
    with database.transaction() as connection:
        if connection.scalar(text(STILL_SHOWN), names):
            raise StateConflict(f"run {belonging.run_id} was restored in MLflow", hint="say it again: lockgate gc")
        for statement in ERASE:
            connection.execute(text(statement), names)
