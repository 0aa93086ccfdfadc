-- A version in use is in Production, in Staging, or one of the last three that a rollback may go to. The guard keeps what
-- such a version needs from every client: its row, its run, its logged model, and the tag that names its bundle.

-- Was the version in Production, and does neither a rollback nor a person keep it from returning there?
CREATE OR REPLACE FUNCTION lockgate.may_return(of_model text, of_version integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
            SELECT FROM lockgate.ledger WHERE (model, version, from_stage) = (of_model, of_version, 'Production')
        )
        AND NOT lockgate.quarantined(of_model, of_version)
        AND (lockgate.objection_of_people(of_model, of_version)).reason IS NULL
$$;

-- Is an archived version one of the last three rollback targets: do fewer than three others follow it?
CREATE OR REPLACE FUNCTION lockgate.is_rollback_target(of_model text, of_version integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT lockgate.may_return(of_model, of_version) AND 3 > (
        SELECT count(*)
        FROM public.model_versions AS other
        WHERE (other.workspace, other.name, other.current_stage) = ('default', of_model, 'Archived')
          AND other.version <> of_version
          AND (lockgate.last_of_production(of_model, other.version)).seq
              > (lockgate.last_of_production(of_model, of_version)).seq
          AND lockgate.may_return(of_model, other.version)
    )
$$;

-- How a version is in use, for a refusal: "in Production", "in Staging", "a rollback target"; NULL if it is not.
CREATE OR REPLACE FUNCTION lockgate.use_of(of_model text, of_version integer, stage text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN stage IN ('Production', 'Staging') THEN 'in ' || stage
        WHEN stage = 'Archived' AND lockgate.is_rollback_target(of_model, of_version) THEN 'a rollback target'
    END
$$;

-- A version in use that a run or a logged model belongs to, with its use; no row if there is none.
CREATE OR REPLACE FUNCTION lockgate.user_of(of_run text, of_logged_model text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('version %s of %s is %s', version, name, lockgate.use_of(name, version, current_stage))
    FROM public.model_versions AS registry
    WHERE workspace = 'default' AND current_stage IN ('Production', 'Staging', 'Archived')
      AND (run_id = of_run
           OR source = 'models:/' || of_logged_model
           OR position('/' || of_logged_model || '/' IN coalesce(storage_location, '') || '/') > 0)
      AND EXISTS (SELECT FROM lockgate.versions AS ours WHERE (ours.model, ours.version) = (name, registry.version))
      AND lockgate.covers(name) AND lockgate.use_of(name, version, current_stage) IS NOT NULL
    ORDER BY current_stage DESC, version DESC
    LIMIT 1
$$;

CREATE OR REPLACE FUNCTION lockgate.refuse_while_in_use(what text, in_use text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF in_use IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('%s may not be deleted or moved: %s', what, in_use),
            HINT = 'put another version in its place first: lockgate promote; see what is in use: lockgate list';
    END IF;
END
$$;

-- The run of a version in use is neither deleted nor pointed to other artifacts.
CREATE OR REPLACE FUNCTION lockgate.guard_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.lifecycle_stage = 'deleted' AND OLD.lifecycle_stage <> 'deleted'
        OR (NEW.run_uuid, NEW.artifact_uri) IS DISTINCT FROM (OLD.run_uuid, OLD.artifact_uri)
    THEN
        PERFORM lockgate.refuse_while_in_use('run ' || OLD.run_uuid, lockgate.user_of(OLD.run_uuid, NULL));
    END IF;
    RETURN NULL;
END
$$;

-- The logged model of a version in use, likewise.
CREATE OR REPLACE FUNCTION lockgate.guard_logged_models() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.lifecycle_stage = 'deleted' AND OLD.lifecycle_stage <> 'deleted'
        OR (NEW.model_id, NEW.artifact_location) IS DISTINCT FROM (OLD.model_id, OLD.artifact_location)
    THEN
        PERFORM lockgate.refuse_while_in_use('logged model ' || OLD.model_id, lockgate.user_of(NULL, OLD.model_id));
    END IF;
    RETURN NULL;
END
$$;

-- The score of a verdict in the metric of its policy, with six significant decimals; null without a number.
CREATE OR REPLACE FUNCTION lockgate.score_of(verdict lockgate.verdicts) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT trim_scale(round((verdict.metrics ->> (limits ->> 'metric'))::numeric, 6))::text
    FROM lockgate.policies
    WHERE digest = verdict.policy_digest AND jsonb_typeof(verdict.metrics -> (limits ->> 'metric')) = 'number'
$$;

-- A part of the lineage that was recorded at the registration of a version; null if it is unknown.
CREATE OR REPLACE FUNCTION lockgate.lineage_of(of_model text, of_version integer, part text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(lineage -> 'lineage' ->> part, 'unknown')
    FROM lockgate.versions
    WHERE (model, version) = (of_model, of_version)
$$;

-- The value that a tag of a registered version must have, because it repeats a record; null for any other tag.
CREATE OR REPLACE FUNCTION lockgate.tag_on_record(of_model text, of_version integer, key text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE key
        WHEN 'lockgate.bundle_digest' THEN
            (SELECT bundle_digest FROM lockgate.versions WHERE (model, version) = (of_model, of_version))
        WHEN 'verdict' THEN (lockgate.newest_verdict(of_model, of_version)).outcome
        WHEN 'verdict_id' THEN (lockgate.newest_verdict(of_model, of_version)).id::text
        WHEN 'score' THEN lockgate.score_of((lockgate.newest_verdict(of_model, of_version)))
        WHEN 'git_commit' THEN lockgate.lineage_of(of_model, of_version, key)
        WHEN 'rows_digest' THEN lockgate.lineage_of(of_model, of_version, key)
        WHEN 'holdout_digest' THEN lockgate.lineage_of(of_model, of_version, key)
    END
$$;

-- The tags that repeat a record cannot be set to another value or deleted. A deleted version loses its tags.
CREATE OR REPLACE FUNCTION lockgate.guard_version_tags() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed public.model_version_tags := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    of_key text;
    on_record text;
    tagged text;
BEGIN
    IF changed.workspace <> 'default' OR NOT lockgate.covers(changed.name) OR NOT EXISTS (
        SELECT FROM public.model_versions
        WHERE (workspace, name, version) = (changed.workspace, changed.name, changed.version)
          AND current_stage <> 'Deleted_Internal'
    ) THEN
        RETURN NULL;
    END IF;
    FOREACH of_key IN ARRAY ARRAY[changed.key, CASE TG_OP WHEN 'UPDATE' THEN OLD.key ELSE changed.key END] LOOP
        on_record := lockgate.tag_on_record(changed.name, changed.version, of_key);
        SELECT value INTO tagged FROM public.model_version_tags
        WHERE (workspace, name, version, key) = (changed.workspace, changed.name, changed.version, of_key);
        IF on_record IS NOT NULL AND tagged IS DISTINCT FROM on_record THEN
            RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
                MESSAGE = format('the tag %s of version %s of %s repeats a record and may not be changed',
                                 of_key, changed.version, changed.name),
                HINT = 'use another tag; lockgate show VERSION prints the record';
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
