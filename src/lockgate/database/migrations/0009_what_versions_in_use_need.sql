-- A version in use is in Production, in Staging, or one of the last three that a rollback may go to. The guard keeps what
-- such a version needs from every client: its row, its run and its logged model. Aliases are compared as MLflow's clients
-- read them, and the tag that names the bundle says what is on record.

-- Was the version in Production, and does neither a rollback nor a person keep it from returning there?
CREATE FUNCTION lockgate.may_return(of_model text, of_version integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT EXISTS (
            SELECT FROM lockgate.ledger WHERE (model, version, from_stage) = (of_model, of_version, 'Production')
        )
        AND NOT lockgate.quarantined(of_model, of_version)
        AND (lockgate.objection_of_people(of_model, of_version)).says IS NULL
$$;

-- Is an archived version one of the last three rollback targets: do fewer than three others follow it?
CREATE FUNCTION lockgate.is_rollback_target(of_model text, of_version integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
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
CREATE FUNCTION lockgate.use_of(of_model text, of_version integer, stage text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT CASE
        WHEN stage IN ('Production', 'Staging') THEN 'in ' || stage
        WHEN stage = 'Archived' AND lockgate.is_rollback_target(of_model, of_version) THEN 'a rollback target'
    END
$$;

-- A version in use that a run or a logged model belongs to, with its use; no row if there is none.
CREATE FUNCTION lockgate.user_of(of_run text, of_logged_model text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT format('version %s of %s is %s', version, name, lockgate.use_of(name, version, current_stage))
    FROM public.model_versions AS registry
    WHERE workspace = 'default' AND current_stage IN ('Production', 'Staging', 'Archived')
      AND (run_id = of_run
           OR source = 'models:/' || of_logged_model
           OR position('/' || of_logged_model || '/' IN coalesce(storage_location, '') || '/') > 0)
      AND EXISTS (SELECT FROM lockgate.versions AS ours WHERE (ours.model, ours.version) = (name, registry.version))
      AND lockgate.use_of(name, version, current_stage) IS NOT NULL
    ORDER BY current_stage DESC, version DESC
    LIMIT 1
$$;

CREATE FUNCTION lockgate.refuse_while_in_use(what text, in_use text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF in_use IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('%s may not be deleted or moved: %s', what, in_use),
            HINT = 'put another version in its place first: lockgate promote; see what is in use: lockgate list';
    END IF;
END
$$;

-- The run of a version in use is neither deleted nor pointed to other artifacts.
CREATE FUNCTION lockgate.guard_runs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
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
CREATE FUNCTION lockgate.guard_logged_models() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.lifecycle_stage = 'deleted' AND OLD.lifecycle_stage <> 'deleted'
        OR (NEW.model_id, NEW.artifact_location) IS DISTINCT FROM (OLD.model_id, OLD.artifact_location)
    THEN
        PERFORM lockgate.refuse_while_in_use('logged model ' || OLD.model_id, lockgate.user_of(NULL, OLD.model_id));
    END IF;
    RETURN NULL;
END
$$;

-- The tag that names the bundle of a registered version has the digest on record. A deleted version loses its tags.
CREATE FUNCTION lockgate.guard_version_tags() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    changed public.model_version_tags := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    on_record text;
    tagged text;
BEGIN
    IF changed.workspace <> 'default'
        OR changed.key <> 'lockgate.bundle_digest' AND OLD.key IS DISTINCT FROM 'lockgate.bundle_digest'
        OR NOT EXISTS (
        SELECT FROM public.model_versions
        WHERE (workspace, name, version) = (changed.workspace, changed.name, changed.version)
          AND current_stage <> 'Deleted_Internal'
    ) THEN
        RETURN NULL;
    END IF;
    SELECT bundle_digest INTO on_record FROM lockgate.versions WHERE (model, version) = (changed.name, changed.version);
    SELECT value INTO tagged FROM public.model_version_tags
    WHERE (workspace, name, version, key)
        = (changed.workspace, changed.name, changed.version, 'lockgate.bundle_digest');
    IF on_record IS NOT NULL AND tagged IS DISTINCT FROM on_record THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('the tag lockgate.bundle_digest of version %s of %s names its bundle and may not be changed',
                             changed.version, changed.name),
            HINT = 'use another tag; other files are a version of their own';
    END IF;
    RETURN NULL;
END
$$;

-- What is wrong with a row of MLflow's versions as such. Fires before the constraint's own check, which knows no words.
CREATE OR REPLACE FUNCTION lockgate.guard_versions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    subject public.model_versions := CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END;
    whom text := format('version %s of %s', subject.version, subject.name);
    leaves boolean := TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND NEW.current_stage = 'Deleted_Internal';
    in_use text;
    rival integer;
    objection lockgate.objection;
BEGIN
    IF subject.workspace <> 'default' AND (TG_OP <> 'UPDATE' OR NEW.workspace <> 'default') THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.current_stage = 'Production' THEN
        PERFORM lockgate.lock_ledger(NEW.name);
        SELECT version INTO rival FROM public.model_versions
        WHERE (workspace, name, current_stage) = (NEW.workspace, NEW.name, 'Production') AND version <> NEW.version
        LIMIT 1;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        in_use := lockgate.use_of(subject.name, subject.version, subject.current_stage);
    END IF;
    objection := CASE
        WHEN TG_OP = 'INSERT' AND subject.current_stage <> 'None' THEN
            lockgate.because(format('%s may not begin in %s', whom, subject.current_stage), 'a version begins in None')
        WHEN in_use = 'a rollback target' AND leaves
            AND (lockgate.intent_for(subject.name, subject.version, 'Deleted_Internal')).command IS DISTINCT FROM 'gc'
        THEN
            lockgate.because(format('%s may not be deleted: it is %s', whom, in_use),
                'the last three versions that a rollback may go to stay; lockgate gc --keep N says otherwise')
        WHEN in_use LIKE 'in %' AND leaves THEN
            lockgate.because(format('%s may not be deleted: it is %s', whom, in_use),
                CASE subject.current_stage
                    WHEN 'Staging' THEN format('turn it down first: lockgate reject %s --reason ...', subject.version)
                    ELSE 'put another one in its place first: lockgate promote;'
                        ' or leave the stage empty: lockgate retire'
                END)
        WHEN TG_OP = 'UPDATE' AND NOT leaves AND in_use IS NOT NULL
            AND (OLD.workspace, OLD.name, OLD.version, OLD.run_id, OLD.source, OLD.storage_location)
                IS DISTINCT FROM
                (NEW.workspace, NEW.name, NEW.version, NEW.run_id, NEW.source, NEW.storage_location) THEN
            lockgate.because(
                format('%s may not be renamed or pointed to other files: it is %s', whom, in_use),
                'register the other files as a version of their own')
        WHEN TG_OP = 'UPDATE' AND subject.workspace <> NEW.workspace AND NEW.current_stage <> 'None' THEN
            lockgate.because(
                format('%s may not come in from another workspace in %s', whom, NEW.current_stage),
                'a version begins in None')
        WHEN rival IS NOT NULL AND OLD.current_stage IS DISTINCT FROM 'Production' THEN
            lockgate.because(format('%s may not go to Production: version %s is there', whom, rival),
                format('archive version %s in the same step (in MLflow, tick the box for it),'
                       ' or: lockgate promote %s --reason ...',
                       rival, NEW.version))
    END;
    IF objection.says IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = objection.says, HINT = objection.hint;
    END IF;
    RETURN NULL;
END
$$;

-- The aliases `production` and `staging` say what the stages say; the same names with capitals do not exist, since clients
-- resolve them alike. MLflow's prompts have aliases too, and no stages.
CREATE OR REPLACE FUNCTION lockgate.guard_aliases() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    changed public.registered_model_aliases := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    stage text := initcap(changed.alias);
    holder integer;
    pointed integer;
BEGIN
    IF lower(changed.alias) NOT IN ('production', 'staging') OR changed.workspace <> 'default'
        OR lockgate.is_prompt(changed.name)
    THEN
        RETURN NULL;
    END IF;
    SELECT max(version) INTO holder FROM public.model_versions
    WHERE (workspace, name, current_stage) = (changed.workspace, changed.name, stage);
    SELECT version INTO pointed FROM public.registered_model_aliases
    WHERE (workspace, name, alias) = (changed.workspace, changed.name, changed.alias);
    IF changed.alias <> lower(changed.alias) AND pointed IS NOT NULL
        OR changed.alias = lower(changed.alias) AND pointed IS DISTINCT FROM holder
    THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('the alias %s of %s follows the stage %s and cannot be set by hand: %s',
                changed.alias, changed.name, stage,
                coalesce('version ' || holder || ' is there', 'nothing is there')),
            HINT = 'move the version, and the alias follows: lockgate promote; or take another name for the alias';
    END IF;
    RETURN NULL;
END
$$;
