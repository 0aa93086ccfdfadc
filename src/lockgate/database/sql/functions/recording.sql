-- What is recorded for every covered model, with or without the guard: each stage change leaves a ledger row and moves the
-- mirrored alias, and an approval that is given in MLflow's UI leaves a row too. All of it happens in MLflow's
-- transaction, or none. The functions have the rights of their owner, so that MLflow's role needs none in schema lockgate.

-- Lets transactions write the ledger rows of a model one after the other.
CREATE OR REPLACE FUNCTION lockgate.lock_ledger(of_model text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('lockgate.ledger:' || of_model, 0))
$$;

-- The version that takes the place of an archived version: this transaction has moved it to the stage that the other left.
-- (xmin is the transaction that wrote a row; MLflow archives and promotes in one transaction.)
CREATE OR REPLACE FUNCTION lockgate.displacer(changed public.model_versions, left_stage text) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT other.version
    FROM public.model_versions AS other
    WHERE changed.current_stage = 'Archived'
      AND (other.workspace, other.name, other.current_stage) = (changed.workspace, changed.name, left_stage)
      AND other.xmin = pg_current_xact_id()::xid
    ORDER BY other.version DESC
    LIMIT 1
$$;

-- Whether this session has the lock of the model, which commands take in database/model_lock.py.
CREATE OR REPLACE FUNCTION lockgate.holds_model(holder integer, of_model text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE pid = holder AND granted AND locktype = 'advisory' AND objsubid = 1
          AND (classid::bigint << 32 | objid::bigint) = hashtextextended('lockgate.model:' || of_model, 0)
    )
$$;

-- The newest intent for this move that is not consumed, or that this transaction has consumed (for the displaced version).
-- It counts while its command has the model's lock, and for ten seconds in any case: the move of a killed command may still
-- arrive. A later move belongs to another client.
CREATE OR REPLACE FUNCTION lockgate.intent_for(
    moving_model text, moving_version integer, target text, origin text DEFAULT NULL::text
) RETURNS lockgate.intents
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT intent
    FROM lockgate.intents AS intent
    WHERE (intent.model, intent.version, intent.to_stage) = (moving_model, moving_version, target)
      AND intent.from_stage = coalesce(origin, intent.from_stage)
      AND (intent.consumed_at IS NULL OR intent.consumed_at = transaction_timestamp())
      AND (intent.created_at > clock_timestamp() - interval '10 seconds'
           OR lockgate.holds_model(intent.holder, moving_model))
    ORDER BY intent.id DESC
    LIMIT 1
$$;

CREATE OR REPLACE FUNCTION lockgate.newest_verdict(of_model text, of_version integer) RETURNS lockgate.verdicts
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT verdict
    FROM lockgate.verdicts AS verdict
    WHERE (verdict.model, verdict.version) = (of_model, of_version)
    ORDER BY verdict.id DESC
    LIMIT 1
$$;

CREATE OR REPLACE FUNCTION lockgate.newest_approval(of_model text, of_version integer) RETURNS lockgate.approvals
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT approval
    FROM lockgate.approvals AS approval
    WHERE (approval.model, approval.version) = (of_model, of_version)
    ORDER BY approval.id DESC
    LIMIT 1
$$;

-- Point the aliases `production` and `staging` to the versions in these stages; an empty stage has no alias.
CREATE OR REPLACE FUNCTION lockgate.mirror_stages(of_workspace text, of_model text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
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

-- Write the ledger row of a stage change. A move up gets the newest verdict and its approval; a displaced version gets none.
CREATE OR REPLACE FUNCTION lockgate.record_stage_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    displaced_by integer;
    intent lockgate.intents;
    why text;
    verdict lockgate.verdicts;
    approval lockgate.approvals;
BEGIN
    IF OLD.current_stage IS NOT DISTINCT FROM NEW.current_stage OR NEW.workspace <> 'default'
        OR NOT lockgate.covers(NEW.name)
    THEN
        RETURN NULL;
    END IF;
    PERFORM lockgate.lock_ledger(NEW.name);
    displaced_by := lockgate.displacer(NEW, OLD.current_stage);
    IF displaced_by IS NULL THEN
        intent := lockgate.intent_for(NEW.name, NEW.version, NEW.current_stage, OLD.current_stage);
        why := coalesce(intent.reason, 'out of band');
        UPDATE lockgate.intents SET consumed_at = transaction_timestamp() WHERE id = intent.id;
    ELSE
        intent := lockgate.intent_for(NEW.name, displaced_by, OLD.current_stage);
        why := format('displaced by version %s: %s', displaced_by, coalesce(intent.reason, 'out of band'));
    END IF;
    IF NEW.current_stage IN ('Staging', 'Production') THEN
        verdict := lockgate.newest_verdict(NEW.name, NEW.version);
        approval := lockgate.newest_approval(NEW.name, NEW.version);
    END IF;
    IF approval.decision <> 'approved' OR approval.verdict_id <> verdict.id THEN
        approval := NULL;
    END IF;
    INSERT INTO lockgate.ledger
        (model, version, from_stage, to_stage, command, actor, reason, db_user, intent_id, bundle_digest,
         verdict_id, holdout_digest, policy_digest, code_commit, approval_id, approved_by)
    VALUES (
        NEW.name, NEW.version, OLD.current_stage, NEW.current_stage,
        coalesce(intent.command, 'out of band'), coalesce(intent.actor, session_user), why, session_user, intent.id,
        (SELECT bundle_digest FROM lockgate.versions WHERE (model, version) = (NEW.name, NEW.version)),
        verdict.id, verdict.holdout_digest, verdict.policy_digest, verdict.code_commit,
        approval.id, approval.decided_by
    );
    PERFORM lockgate.mirror_stages(NEW.workspace, NEW.name);
    RETURN NULL;
END
$$;
