-- A rollback can be taken back, by naming the version that it took out; and an intent is of a command that still lives.

-- The database session that held the model's lock when the intent was written; and when whoever asked for the move was
-- told that it was made: a command that was killed in between is told so when it is said again.
ALTER TABLE lockgate.intents ADD COLUMN holder integer, ADD COLUMN told_at timestamptz;

-- Does this session hold the lock of the model? (Commands take it: connection.py.)
CREATE FUNCTION lockgate.holds_model(holder integer, of_model text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT EXISTS (
        SELECT FROM pg_locks
        WHERE pid = holder AND granted AND locktype = 'advisory' AND objsubid = 1
          AND (classid::bigint << 32 | objid::bigint) = hashtextextended('lockgate.model:' || of_model, 0)
    )
$$;

-- The newest intent for this move that is not consumed, or was so by this same transaction (for the displaced version).
-- It counts while its command holds the model, and for ten seconds anyhow: of a command that was killed, the move may
-- still be on its way. After that, who moves is somebody else.
CREATE OR REPLACE FUNCTION lockgate.intent_for(
    moving_model text, moving_version integer, target text, origin text DEFAULT NULL
) RETURNS lockgate.intents
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
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

-- The last row on the version's coming to Production or leaving it, before this transaction.
CREATE FUNCTION lockgate.last_of_production(of_model text, of_version integer) RETURNS lockgate.ledger
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT entry
    FROM lockgate.ledger AS entry
    WHERE entry.model = of_model AND entry.version = of_version AND 'Production' IN (entry.from_stage, entry.to_stage)
      AND entry.xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
    ORDER BY entry.seq DESC
    LIMIT 1
$$;

-- A rollback took the version out of Production, and that has not been undone.
CREATE OR REPLACE FUNCTION lockgate.quarantined(of_model text, of_version integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT coalesce((last.from_stage, last.command) = ('Production', 'rollback'), false)
    FROM lockgate.last_of_production(of_model, of_version) AS last
$$;

-- Is it the version that was registered? (What 0004 asked of a version is from here on two questions.)
CREATE FUNCTION lockgate.objection_to_identity(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    known lockgate.versions;
    row_in_mlflow public.model_versions;
BEGIN
    SELECT * INTO known FROM lockgate.versions WHERE (model, version) = (of_model, of_version);
    SELECT * INTO row_in_mlflow FROM public.model_versions
    WHERE (workspace, name, version) = ('default', of_model, of_version);
    RETURN CASE
        WHEN known.model IS NULL THEN
            lockgate.because(
                'it did not come in through Lockgate, so nobody has judged it',
                'register and validate it: dvc repro')
        WHEN (known.run_id, known.source, known.storage_location)
            IS DISTINCT FROM (row_in_mlflow.run_id, row_in_mlflow.source, row_in_mlflow.storage_location) THEN
            lockgate.because(
                'it points to another run or source than when it was registered',
                'register the bundle again: dvc repro')
    END;
END
$$;

-- Has somebody turned it down?
CREATE FUNCTION lockgate.objection_of_people(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    approval lockgate.approvals := lockgate.newest_approval(of_model, of_version);
BEGIN
    RETURN CASE
        WHEN approval.decision = 'rejected' THEN
            lockgate.because(
                format('%s rejected it: %s', approval.decided_by,
                       regexp_replace(left(approval.reason, 200), '\s+', ' ', 'g')),
                'train another one: dvc repro')
    END;
END
$$;

CREATE OR REPLACE FUNCTION lockgate.objection_to_version(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    objection lockgate.objection := lockgate.objection_to_identity(of_model, of_version);
BEGIN
    RETURN CASE
        WHEN objection.says IS NOT NULL THEN objection
        WHEN lockgate.quarantined(of_model, of_version) THEN
            lockgate.because('it is quarantined: a rollback took it out of Production', 'train another one: dvc repro')
        ELSE lockgate.objection_of_people(of_model, of_version)
    END;
END
$$;

-- May the last rollback be undone with it? Its quarantine is the very thing that is taken back.
CREATE FUNCTION lockgate.objection_to_undo(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    objection lockgate.objection := lockgate.objection_to_identity(of_model, of_version);
    departed lockgate.ledger;
BEGIN
    SELECT * INTO departed FROM lockgate.ledger
    WHERE (model, from_stage) = (of_model, 'Production')
      AND xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
    ORDER BY seq DESC LIMIT 1;
    RETURN CASE
        WHEN objection.says IS NOT NULL THEN objection
        WHEN (departed.version, departed.command) IS DISTINCT FROM (of_version, 'rollback') THEN
            lockgate.because('it is not what the last rollback took out of Production', 'see: lockgate history')
        ELSE lockgate.objection_of_people(of_model, of_version)
    END;
END
$$;

-- Each stage change as the ledger has just told it: by whom, on what evidence. Its sentence names the version.
CREATE OR REPLACE FUNCTION lockgate.guard_moves() RETURNS trigger
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
    ELSIF NEW.command = 'undo' AND NEW.to_stage = 'Production' THEN
        objection := lockgate.objection_to_undo(NEW.model, NEW.version);
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
