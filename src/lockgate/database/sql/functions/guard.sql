-- The trigger functions of the guard. Its triggers are deferred to the commit: there the whole move is seen, and MLflow,
-- which shows its users the error of the database, has no statement to show with it. Refusals carry the SQLSTATE
-- restrict_violation (23001), which nothing else here does, and which MLflow answers with HTTP 400.

-- Keep the version of a covered model that is in Production. The primary key refuses a second one, also to a transaction
-- that cannot see the first one.
CREATE OR REPLACE FUNCTION lockgate.hold_production(of_model text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM lockgate.in_production AS held
    WHERE held.model = of_model AND NOT EXISTS (
        SELECT FROM public.model_versions
        WHERE (workspace, name, version, current_stage) = ('default', of_model, held.version, 'Production')
    );
    INSERT INTO lockgate.in_production (model, version)
    SELECT name, version
    FROM public.model_versions AS registry
    WHERE (workspace, name, current_stage) = ('default', of_model, 'Production')
      AND NOT EXISTS (SELECT FROM lockgate.in_production WHERE (model, version) = (of_model, registry.version));
EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('two versions of %s may not be in Production', of_model),
            HINT = 'another client has just put a version there; see: lockgate status';
END
$$;

-- A trigger of its own: it holds also where the one on versions was dropped, or reads an old snapshot.
CREATE OR REPLACE FUNCTION lockgate.one_production() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.workspace = 'default' AND 'Production' IN (OLD.current_stage, NEW.current_stage)
        AND lockgate.covers(NEW.name)
    THEN
        PERFORM lockgate.hold_production(NEW.name);
    END IF;
    RETURN NULL;
END
$$;

-- The objection to a change of one row of MLflow's versions, by itself.
CREATE OR REPLACE FUNCTION lockgate.guard_versions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    subject public.model_versions := CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END;
    whom text := format('version %s of %s', subject.version, subject.name);
    leaves boolean := TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND NEW.current_stage = 'Deleted_Internal';
    at_home boolean := subject.workspace = 'default' AND (TG_OP <> 'UPDATE' OR NEW.workspace = 'default');
    in_use text;
    other integer;
    objection lockgate.objection;
BEGIN
    PERFORM lockgate.refuse_old_snapshot();
    IF NOT lockgate.covers(subject.name) AND (TG_OP <> 'UPDATE' OR NOT lockgate.covers(NEW.name)) THEN
        RETURN NULL;
    END IF;
    IF at_home AND TG_OP = 'UPDATE' AND NEW.current_stage = 'Production' THEN
        PERFORM lockgate.lock_ledger(NEW.name);
        SELECT version INTO other FROM public.model_versions
        WHERE (workspace, name, current_stage) = (NEW.workspace, NEW.name, 'Production') AND version <> NEW.version
        LIMIT 1;
    END IF;
    IF subject.workspace = 'default' AND TG_OP <> 'INSERT' THEN
        in_use := lockgate.use_of(subject.name, subject.version, subject.current_stage);
    END IF;
    objection := CASE
        WHEN TG_OP = 'INSERT' AND subject.current_stage <> 'None' THEN
            lockgate.because(format('%s may not begin in %s', whom, subject.current_stage), 'a version begins in None')
        WHEN in_use = 'a rollback target' AND leaves
            AND (lockgate.intent_for(subject.name, subject.version, 'Deleted_Internal')).command IS DISTINCT FROM 'gc'
        THEN
            lockgate.because(format('%s may not be deleted: it is %s', whom, in_use),
                'the last three versions that a rollback may go to stay; lockgate gc --keep N deletes older ones')
        WHEN in_use LIKE 'in %' AND leaves THEN
            lockgate.because(format('%s may not be deleted: it is %s', whom, in_use),
                CASE subject.current_stage
                    WHEN 'Staging' THEN format('reject it first: lockgate reject %s --reason ...', subject.version)
                    ELSE 'promote another version first: lockgate promote;'
                        ' or leave the stage empty: lockgate retire'
                END)
        WHEN TG_OP = 'UPDATE' AND NOT leaves AND in_use IS NOT NULL
            AND (OLD.workspace, OLD.name, OLD.version, OLD.run_id, OLD.source, OLD.storage_location)
                IS DISTINCT FROM
                (NEW.workspace, NEW.name, NEW.version, NEW.run_id, NEW.source, NEW.storage_location) THEN
            lockgate.because(
                format('%s may not be renamed or pointed to other files: it is %s', whom, in_use),
                'register the other files as a version of their own')
        WHEN TG_OP = 'UPDATE' AND (OLD.workspace, OLD.name) <> (NEW.workspace, NEW.name)
            AND NEW.current_stage NOT IN ('None', 'Deleted_Internal') THEN
            lockgate.because(
                format('%s may not come in from another workspace or model in %s', whom, NEW.current_stage),
                'a version begins in None')
        WHEN TG_OP = 'UPDATE' AND NOT at_home AND NEW.current_stage IN ('Staging', 'Production')
            AND OLD.current_stage IS DISTINCT FROM NEW.current_stage THEN
            lockgate.because(
                format('%s in workspace %s stays in %s: a version of a covered model is judged in the workspace default',
                       whom, NEW.workspace, OLD.current_stage),
                format('register it there: dvc repro; or take the model from the gate: lockgate guard uncover %s',
                       NEW.name))
        WHEN other IS NOT NULL AND OLD.current_stage IS DISTINCT FROM 'Production' THEN
            lockgate.because(format('%s may not go to Production: version %s is there', whom, other),
                format('archive version %s in the same step (in MLflow, tick the box for it),'
                       ' or: lockgate promote %s --reason ...',
                       other, NEW.version))
    END;
    IF objection.reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = objection.reason, HINT = objection.hint;
    END IF;
    RETURN NULL;
END
$$;

-- Refuse TRUNCATE of the registry, which no other trigger sees.
CREATE OR REPLACE FUNCTION lockgate.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
        MESSAGE = 'TRUNCATE of the registry is not allowed', HINT = 'delete the versions one by one';
END
$$;

-- The objection to a stage change that no command may make.
CREATE OR REPLACE FUNCTION lockgate.illegal_move(entry lockgate.ledger) RETURNS lockgate.objection
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT lockgate.because(
        format('it may not go from %s to %s', entry.from_stage, entry.to_stage),
        CASE
            WHEN entry.to_stage = 'Production' AND entry.from_stage = 'Archived' THEN
                format('to bring back what was in Production before: lockgate rollback --to %s --reason ...',
                       entry.version)
            WHEN entry.to_stage = 'Production' THEN
                format('Production is reached from Staging: lockgate validate %s, then lockgate promote', entry.version)
            WHEN entry.to_stage = 'Staging' AND entry.from_stage = 'Archived' THEN
                'an archived version does not return to Staging; train another version: dvc repro'
            WHEN entry.from_stage = 'Production' THEN
                'replace it: lockgate promote or lockgate rollback;'
                ' or leave the stage empty: lockgate retire'
            WHEN entry.from_stage = 'Staging' THEN
                format('to reject it: lockgate reject %s --reason ...', entry.version)
            ELSE 'a version goes from None to Staging to Production to Archived'
        END
    )
$$;

-- The objection to a stage change, as its row in the ledger has it: by whom, on which verdict and approval.
CREATE OR REPLACE FUNCTION lockgate.guard_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    objection lockgate.objection;
    displaced text;
    promoter text := CASE WHEN NEW.intent_id IS NOT NULL THEN NEW.actor END;
BEGIN
    SELECT bundle_digest INTO displaced FROM lockgate.ledger
    WHERE model = NEW.model AND from_stage = 'Production' AND xmin = pg_current_xact_id()::xid
    ORDER BY seq DESC LIMIT 1;
    IF NEW.command = 'adopt' AND NEW.intent_id IS NULL AND EXISTS (
        SELECT FROM lockgate.guard_changes
        WHERE (model = NEW.model AND change = 'covered' OR change = 'closed') AND xmin = pg_current_xact_id()::xid
    ) THEN
        RETURN NULL;  -- it was in that stage before this transaction put the model under the gate
    END IF;
    IF NOT EXISTS (
        SELECT FROM lockgate.legal_moves
        WHERE (from_stage, to_stage, command) = (NEW.from_stage, NEW.to_stage, NEW.command)
    ) THEN
        objection := lockgate.illegal_move(NEW);
    ELSIF NEW.command = 'rollback' AND NEW.to_stage = 'Production' THEN
        objection := lockgate.objection_to_return(NEW.model, NEW.version);
    ELSIF NEW.command = 'undo' AND NEW.to_stage = 'Production' THEN
        objection := lockgate.objection_to_undo(NEW.model, NEW.version);
    ELSIF NEW.to_stage IN ('Staging', 'Production') THEN
        objection := lockgate.objection_to_rise(NEW.model, NEW.version, NEW.to_stage, promoter, displaced);
    ELSIF NEW.from_stage = 'Production' AND NEW.command <> 'retire' AND NOT EXISTS (
        SELECT FROM public.model_versions
        WHERE (workspace, name, current_stage) = ('default', NEW.model, 'Production')
    ) THEN
        objection := lockgate.because('Production would be empty',
            'replace it: lockgate promote or lockgate rollback;'
                ' or leave the stage empty: lockgate retire');
    END IF;
    IF objection.reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('version %s of %s stays in %s: %s',
                NEW.version, NEW.model, NEW.from_stage, objection.reason),
            HINT = objection.hint;
    END IF;
    RETURN NULL;
END
$$;

-- The aliases `production` and `staging` say what the stages say; the same names with capitals do not exist, since clients
-- resolve them alike. MLflow's prompts have aliases too, and no stages.
CREATE OR REPLACE FUNCTION lockgate.guard_aliases() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed public.registered_model_aliases := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    stage text := initcap(changed.alias);
    holder integer;
    pointed integer;
BEGIN
    IF lower(changed.alias) NOT IN ('production', 'staging') OR NOT lockgate.covers(changed.name) THEN
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
