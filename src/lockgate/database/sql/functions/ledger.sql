-- SHA-256 over the row's fields in this order, each with its length before it; ledger.py computes the same.
CREATE OR REPLACE FUNCTION lockgate.ledger_hash(entry lockgate.ledger) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT encode(sha256(convert_to(
        string_agg(coalesce(length(field) || ':' || field, '-'), ',' ORDER BY place), 'UTF8'
    )), 'hex')
    FROM unnest(ARRAY[
        entry.model, entry.seq::text, entry.version::text, entry.from_stage, entry.to_stage, entry.command, entry.actor,
        entry.reason, entry.db_user, entry.intent_id::text, entry.bundle_digest, entry.verdict_id::text,
        entry.holdout_digest, entry.policy_digest, entry.code_commit, entry.approval_id::text, entry.approved_by,
        to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), entry.previous_hash
    ]) WITH ORDINALITY AS fields (field, place)
$$;

-- Set the number and the hash of a new row, under the lock of the model's ledger. A row comes from the recording trigger,
-- or is the `adopt` row of a version that was in a stage when its model was covered.
CREATE OR REPLACE FUNCTION lockgate.chain_ledger_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last lockgate.ledger;
BEGIN
    IF pg_trigger_depth() < 2 AND NEW.command <> 'adopt' THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = 'the ledger takes rows only from the trigger that records stage changes',
            HINT = 'move the version, and the trigger writes the row';
    END IF;
    PERFORM lockgate.lock_ledger(NEW.model);
    SELECT * INTO last FROM lockgate.ledger WHERE model = NEW.model ORDER BY seq DESC LIMIT 1;
    NEW.seq := coalesce(last.seq, 0) + 1;
    NEW.previous_hash := coalesce(last.hash, repeat('0', 64));
    IF EXISTS (
        SELECT FROM lockgate.ledger
        WHERE (model, seq) = (NEW.model, last.seq) AND xmin = pg_current_xact_id()::xid
    ) THEN
        NEW.at := last.at;  -- what one commit does happens at one moment: a swap never leaves Production empty
    END IF;
    NEW.hash := lockgate.ledger_hash(NEW);
    RETURN NEW;
END
$$;

-- Keep number and hash of the last row of each model.
CREATE OR REPLACE FUNCTION lockgate.keep_ledger_head() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO lockgate.ledger_heads VALUES (NEW.model, NEW.seq, NEW.hash)
    ON CONFLICT (model) DO UPDATE SET seq = EXCLUDED.seq, hash = EXCLUDED.hash;
    RETURN NULL;
END
$$;

-- Notify the listeners of channel lockgate_production when a version enters or leaves Production, and those of channel
-- lockgate_stages of every stage change.
CREATE OR REPLACE FUNCTION lockgate.tell_of_production() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change text := json_build_object(
        'model', NEW.model, 'version', NEW.version, 'from', NEW.from_stage, 'to', NEW.to_stage, 'seq', NEW.seq
    )::text;
BEGIN
    IF 'Production' IN (NEW.from_stage, NEW.to_stage) THEN
        PERFORM pg_notify('lockgate_production', change);
    END IF;
    PERFORM pg_notify('lockgate_stages', change);
    RETURN NULL;
END
$$;

-- Refuse it: a later row corrects an earlier one.
CREATE OR REPLACE FUNCTION lockgate.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
        MESSAGE = format('%s is append-only: its rows cannot be changed or deleted', TG_RELID::regclass),
        HINT = 'a later row corrects an earlier one';
END
$$;
