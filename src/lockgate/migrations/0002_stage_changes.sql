-- Triggers on MLflow's own tables: each stage change leaves a ledger row and moves the mirrored alias, or does not happen.
-- The functions run with the rights of their owner, so that MLflow's role needs none in schema lockgate.

-- The version that displaced another one from a stage: it is in that stage now, by this same transaction.
-- (xmin is the transaction that wrote a row; MLflow archives and promotes in one.)
CREATE FUNCTION lockgate.displacer(changed public.model_versions, left_stage text) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT other.version
    FROM public.model_versions AS other
    WHERE changed.current_stage = 'Archived'
      AND (other.workspace, other.name, other.current_stage) = (changed.workspace, changed.name, left_stage)
      AND other.xmin = pg_current_xact_id()::xid
    ORDER BY other.version DESC
    LIMIT 1
$$;

-- The newest intent for this move that is not consumed, or that this same transaction consumed (for the displaced version).
-- An intent older than ten minutes is of a command that died: who moves now is somebody else.
CREATE FUNCTION lockgate.intent_for(moving_model text, moving_version integer, target text, origin text DEFAULT NULL)
RETURNS lockgate.intents
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT intent
    FROM lockgate.intents AS intent
    WHERE (intent.model, intent.version, intent.to_stage) = (moving_model, moving_version, target)
      AND intent.from_stage = coalesce(origin, intent.from_stage)
      AND (intent.consumed_at IS NULL OR intent.consumed_at = transaction_timestamp())
      AND intent.created_at > clock_timestamp() - interval '10 minutes'
    ORDER BY intent.id DESC
    LIMIT 1
$$;

-- Aliases `production` and `staging` point where the stages say; an empty stage has no alias.
CREATE FUNCTION lockgate.mirror_stages(of_workspace text, of_model text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
    WITH holder AS (
        SELECT lower(current_stage) AS alias, max(version) AS version
        FROM public.model_versions
        WHERE (workspace, name) = (of_workspace, of_model) AND current_stage IN ('Production', 'Staging')
        GROUP BY current_stage
    ), gone AS (
        DELETE FROM public.registered_model_aliases
        WHERE (workspace, name) = (of_workspace, of_model)
          AND alias IN ('production', 'staging')
          AND alias NOT IN (SELECT alias FROM holder)
    )
    INSERT INTO public.registered_model_aliases (workspace, name, alias, version)
    SELECT of_workspace, of_model, alias, version FROM holder
    ON CONFLICT (workspace, name, alias) DO UPDATE SET version = excluded.version
$$;

CREATE FUNCTION lockgate.record_stage_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    displaced_by integer;
    intent lockgate.intents;
    why text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('lockgate.ledger:' || NEW.name, 0));  -- one model's rows in commit order
    displaced_by := lockgate.displacer(NEW, OLD.current_stage);
    IF displaced_by IS NULL THEN
        intent := lockgate.intent_for(NEW.name, NEW.version, NEW.current_stage, OLD.current_stage);
        why := coalesce(intent.reason, 'out of band');
        UPDATE lockgate.intents SET consumed_at = transaction_timestamp() WHERE id = intent.id;
    ELSE
        intent := lockgate.intent_for(NEW.name, displaced_by, OLD.current_stage);
        why := format('displaced by version %s: %s', displaced_by, coalesce(intent.reason, 'out of band'));
    END IF;
    INSERT INTO lockgate.ledger
        (model, version, from_stage, to_stage, command, actor, reason, db_user, intent_id, bundle_digest, verdict_id)
    VALUES (
        NEW.name, NEW.version, OLD.current_stage, NEW.current_stage,
        coalesce(intent.command, 'out of band'), coalesce(intent.actor, session_user), why, session_user, intent.id,
        (SELECT bundle_digest FROM lockgate.versions WHERE (model, version) = (NEW.name, NEW.version)),
        CASE WHEN displaced_by IS NULL THEN (intent.evidence ->> 'verdict_id')::bigint END
    );
    PERFORM lockgate.mirror_stages(NEW.workspace, NEW.name);
    RETURN NULL;
END
$$;

-- Deferred to the commit, where the whole of MLflow's move is seen: the archived version and the one that displaced it.
CREATE CONSTRAINT TRIGGER lockgate_record_stage_change
    AFTER UPDATE OF current_stage ON public.model_versions
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    WHEN (OLD.current_stage IS DISTINCT FROM NEW.current_stage AND NEW.workspace = 'default')
    EXECUTE FUNCTION lockgate.record_stage_change();
