"""Queries of `lockgate doctor`: records beside MLflow's rows, stale intents, unfinished runs, the clock.

Every function is one transaction of its own.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text

from lockgate.database.connection import Database, with_retries
from lockgate.database.storage_use import Belongings

SELECT_REMEMBERED = """
    SELECT ours.version, ours.bundle_digest, ours.run_id, registry.version IS NOT NULL AS present,
           coalesce(registry.current_stage = 'Deleted_Internal', false) AS deleted,
           (ours.run_id, ours.source, ours.storage_location)
               IS DISTINCT FROM (registry.run_id, registry.source, registry.storage_location) AS astray,
           coalesce(run.lifecycle_stage, 'deleted') = 'deleted' AS run_hidden
    FROM lockgate.versions AS ours
    LEFT JOIN public.model_versions AS registry
        ON (registry.workspace, registry.name, registry.version) = ('default', ours.model, ours.version)
    LEFT JOIN public.runs AS run ON run.run_uuid = ours.run_id
    WHERE ours.model = :model
    ORDER BY ours.version
"""
SELECT_DEAD_INTENTS = """
    SELECT id, command, version, actor, created_at
    FROM lockgate.intents
    WHERE model = :model AND consumed_at IS NULL AND created_at < clock_timestamp() - interval '10 minutes'
      AND NOT coalesce(lockgate.holds_model(holder, model), false)
    ORDER BY id
"""

# The registration that a run belongs to ends it, and its version points to it. A run that was left open or failed
# has no version, and neither has a second run of a bundle that has its version: a reply or a lock was lost.
# Hidden ones count: the next registration hides what it throws away. A run goes with the last of its logged models.
SELECT_DEAD_RUNS = """
    WITH dead AS (
        SELECT run.run_uuid, run.artifact_uri, run.start_time, run.lifecycle_stage = 'active' AS run_shown
        FROM public.runs AS run
        JOIN public.experiments AS experiment ON experiment.experiment_id = run.experiment_id
        JOIN public.tags AS tag ON (tag.run_uuid, tag.key) = (run.run_uuid, :tag)
        WHERE experiment.name = :model AND tag.value = coalesce(:digest, tag.value)
          AND (run.status <> 'FINISHED'
               OR EXISTS (SELECT FROM lockgate.versions AS ours WHERE (model, bundle_digest) = (:model, tag.value)))
          AND NOT EXISTS (SELECT FROM lockgate.versions AS ours WHERE ours.run_id = run.run_uuid)
          AND NOT EXISTS (SELECT FROM public.model_versions AS registry WHERE registry.run_id = run.run_uuid)
    ), listed AS (
        SELECT dead.*, logged.model_id, logged.artifact_location, logged.lifecycle_stage = 'active' AS shown,
               lead(logged.model_id) OVER (PARTITION BY dead.run_uuid ORDER BY logged.model_id) IS NULL AS last
        FROM dead LEFT JOIN public.logged_models AS logged ON logged.source_run_id = dead.run_uuid
    )
    SELECT CASE WHEN last THEN run_uuid END, CASE WHEN last THEN artifact_uri END, run_shown AND last, model_id,
           artifact_location, shown
    FROM listed
    ORDER BY start_time, run_uuid, model_id
"""


class RememberedRow(NamedTuple):
    """A version on record beside MLflow's row of it."""

    version: int
    bundle_digest: str
    run_id: str
    present: bool
    deleted: bool
    astray: bool
    run_hidden: bool


class DeadIntent(NamedTuple):
    """An intent that was not consumed while it counted."""

    id: int
    command: str
    version: int
    actor: str
    created_at: datetime


@with_retries
def remembered(database: Database, model: str) -> list[RememberedRow]:
    """Every version on record, oldest first."""
    with database.transaction() as connection:
        return [RememberedRow(*row) for row in connection.execute(text(SELECT_REMEMBERED), {"model": model})]


@with_retries
def dead_intents(database: Database, model: str) -> list[DeadIntent]:
    """What commands that died were about to do, more than ten minutes ago."""
    with database.transaction() as connection:
        return [DeadIntent(*row) for row in connection.execute(text(SELECT_DEAD_INTENTS), {"model": model})]


@with_retries
def dead_runs(database: Database, model: str, bundle_tag: str, digest: str | None = None) -> list[Belongings]:
    """What registrations that did not come to their end have left, of one bundle or of all.

    Call it under the model's lock: only then no registration is in progress.
    """
    with database.transaction() as connection:
        values = {"model": model, "tag": bundle_tag, "digest": digest}
        return [Belongings(*row) for row in connection.execute(text(SELECT_DEAD_RUNS), values)]


@with_retries
def clock(database: Database) -> datetime:
    """What time it is in the database."""
    with database.transaction() as connection:
        now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now


@with_retries
def mirror_aliases(database: Database, model: str) -> None:
    """Let the aliases `production` and `staging` of a model point where its stages say."""
    with database.transaction() as connection:
        connection.execute(text("SELECT lockgate.mirror_stages('default', :model)"), {"model": model})
