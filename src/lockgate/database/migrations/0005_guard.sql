-- The guard's functions. Their triggers, and the one-Production constraint, are put on by `lockgate guard install`.
-- All triggers are deferred to the commit: there the whole move is seen, and MLflow, which shows its users the error of
-- the database, has no statement to show with it. Refusals carry the SQLSTATE restrict_violation (23001), which nothing
-- else here does, and which MLflow answers with HTTP 400.

-- What is wrong with a row of MLflow's versions as such. Fires before the constraint's own check, which knows no words.
CREATE FUNCTION lockgate.guard_versions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    subject public.model_versions := CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END;
    whom text := format('version %s of %s', subject.version, subject.name);
    held boolean := subject.current_stage IN ('Production', 'Staging');
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
    objection := CASE
        WHEN TG_OP = 'INSERT' AND subject.current_stage <> 'None' THEN
            lockgate.because(format('%s may not begin in %s', whom, subject.current_stage), 'a version begins in None')
        WHEN held AND (TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND NEW.current_stage = 'Deleted_Internal') THEN
            lockgate.because(format('%s may not be deleted: it is in %s', whom, subject.current_stage),
                CASE subject.current_stage
                    WHEN 'Staging' THEN format('turn it down first: lockgate reject %s --reason ...', subject.version)
                    ELSE 'put another one in its place first: lockgate promote;'
                        ' or leave the stage empty: lockgate retire'
                END)
        WHEN TG_OP = 'UPDATE' AND held
            AND (OLD.workspace, OLD.name, OLD.version, OLD.run_id, OLD.source, OLD.storage_location)
                IS DISTINCT FROM
                (NEW.workspace, NEW.name, NEW.version, NEW.run_id, NEW.source, NEW.storage_location) THEN
            lockgate.because(
                format('%s may not be renamed or pointed to other files: it is in %s', whom, subject.current_stage),
                
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

CREATE FUNCTION lockgate.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
        MESSAGE = 'the registry may not be emptied at one stroke', HINT = 'delete the versions one by one';
END
$$;

-- What to say of a stage change that no command may make.
CREATE FUNCTION lockgate.illegal_move(entry lockgate.ledger) RETURNS lockgate.objection
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT lockgate.because(
        format('it may not go from %s to %s', entry.from_stage, entry.to_stage),
        CASE
            WHEN entry.to_stage = 'Production' AND entry.from_stage = 'Archived' THEN
                format('to bring back what was in Production before: lockgate rollback --to %s --reason ...',
                       entry.version)
            WHEN entry.to_stage = 'Production' THEN
                'Production is reached from Staging: validate it with dvc repro, then lockgate promote'
            WHEN entry.to_stage = 'Staging' AND entry.from_stage = 'Archived' THEN
                'what is archived does not come back to Staging; train another one: dvc repro'
            WHEN entry.from_stage = 'Production' THEN
                'put another one in its place: lockgate promote or lockgate rollback;'
                ' or leave the stage empty: lockgate retire'
            WHEN entry.from_stage = 'Staging' THEN
                format('to turn it down: lockgate reject %s --reason ...', entry.version)
            ELSE 'a version goes from None to Staging to Production to Archived'
        END
    )
$$;

-- Each stage change as the ledger has just told it: by whom, on what evidence. Its sentence names the version.
CREATE FUNCTION lockgate.guard_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    objection lockgate.objection;
    displaced text;
    promoter text := CASE WHEN NEW.intent_id IS NOT NULL THEN NEW.actor END;
BEGIN
    SELECT bundle_digest INTO displaced FROM lockgate.ledger
    WHERE model = NEW.model AND from_stage = 'Production' AND xmin = pg_current_xact_id()::xid
    ORDER BY seq DESC LIMIT 1;
    IF NOT EXISTS (
        SELECT FROM lockgate.legal_moves
        WHERE (from_stage, to_stage, command) = (NEW.from_stage, NEW.to_stage, NEW.command)
    ) THEN
        objection := lockgate.illegal_move(NEW);
    ELSIF NEW.command = 'rollback' AND NEW.to_stage = 'Production' THEN
        objection := lockgate.objection_to_return(NEW.model, NEW.version);
    ELSIF NEW.to_stage IN ('Staging', 'Production') THEN
        objection := lockgate.objection_to_rise(NEW.model, NEW.version, NEW.to_stage, promoter, displaced);
    ELSIF NEW.from_stage = 'Production' AND NEW.command <> 'retire' AND NOT EXISTS (
        SELECT FROM public.model_versions
        WHERE (workspace, name, current_stage) = ('default', NEW.model, 'Production')
    ) THEN
        objection := lockgate.because('nothing would be in Production then',
            'put another one in its place: lockgate promote or lockgate rollback;'
                ' or leave the stage empty: lockgate retire');
    END IF;
    IF objection.says IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('version %s of %s stays in %s: %s',
                NEW.version, NEW.model, NEW.from_stage, objection.says),
            HINT = objection.hint;
    END IF;
    RETURN NULL;
END
$$;

-- The aliases `production` and `staging` say what the stages say. MLflow's prompts have aliases too, and no stages.
CREATE FUNCTION lockgate.guard_aliases() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    changed public.registered_model_aliases := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    holder integer;
    pointed integer;
BEGIN
    IF changed.alias NOT IN ('production', 'staging') OR changed.workspace <> 'default'
        OR lockgate.is_prompt(changed.name)
    THEN
        RETURN NULL;
    END IF;
    SELECT max(version) INTO holder FROM public.model_versions
    WHERE (workspace, name, current_stage) = (changed.workspace, changed.name, initcap(changed.alias));
    SELECT version INTO pointed FROM public.registered_model_aliases
    WHERE (workspace, name, alias) = (changed.workspace, changed.name, changed.alias);
    IF pointed IS DISTINCT FROM holder THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('the alias %s of %s follows the stage %s and cannot be set by hand: %s',
                changed.alias, changed.name, initcap(changed.alias),
                coalesce('version ' || holder || ' is there', 'nothing is there')),
            HINT = 'move the version, and the alias follows: lockgate promote; or take another name for the alias';
    END IF;
    RETURN NULL;
END
$$;

-- A registered model that MLflow uses for a prompt: tagged as one, never judged, never in a stage.
CREATE FUNCTION lockgate.is_prompt(of_model text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT EXISTS (
            SELECT FROM public.registered_model_tags
            WHERE (workspace, name, key) = ('default', of_model, 'mlflow.prompt.is_prompt') AND lower(value) = 'true'
        )
        AND NOT EXISTS (SELECT FROM lockgate.versions WHERE model = of_model)
        AND NOT EXISTS (SELECT FROM lockgate.ledger WHERE model = of_model)
$$;
