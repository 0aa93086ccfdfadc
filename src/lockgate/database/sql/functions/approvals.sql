-- Record the decision of a reviewer who sets the tags `approved_by` and then `approval` in MLflow; the tag
-- `approval_reason`, if it is set, is the reason. Deleting the tag withdraws the decision. The trigger is deferred, so that MLflow shows a refusal
-- without the SQL statement.
CREATE OR REPLACE FUNCTION lockgate.record_tagged_approval() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tag public.model_version_tags := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    standing lockgate.approvals;
    said text := lower(btrim(tag.value));
    who text;
    why text;
    objection lockgate.objection;
    refusal text := format('the approval of version %s of %s is not recorded', tag.version, tag.name);
BEGIN
    IF tag.key <> 'approval' OR tag.workspace <> 'default'
        OR NOT EXISTS (SELECT FROM lockgate.versions WHERE (model, version) = (tag.name, tag.version))
        OR NOT lockgate.covers(tag.name)
    THEN
        RETURN NULL;
    END IF;
    standing := lockgate.newest_approval(tag.name, tag.version);
    IF EXISTS (SELECT FROM lockgate.approvals WHERE id = standing.id AND xmin = pg_current_xact_id()::xid) THEN
        RETURN NULL;  -- `lockgate approve` shows in MLflow what it has just recorded
    END IF;
    IF TG_OP = 'DELETE' THEN
        IF standing.decision = 'rejected' OR standing.decision = 'approved'
            AND standing.verdict_id = (lockgate.newest_verdict(tag.name, tag.version)).id
        THEN
            INSERT INTO lockgate.approvals
                (model, version, bundle_digest, verdict_id, decision, decided_by, recorded_by, reason)
            VALUES (standing.model, standing.version, standing.bundle_digest, standing.verdict_id, 'withdrawn',
                    session_user, session_user, 'the tag approval was taken away in MLflow');
        END IF;
        RETURN NULL;
    END IF;
    SELECT btrim(value) INTO who FROM public.model_version_tags
    WHERE (workspace, name, version, key) = (tag.workspace, tag.name, tag.version, 'approved_by');
    SELECT nullif(left(btrim(value), 2000), '') INTO why FROM public.model_version_tags
    WHERE (workspace, name, version, key) = (tag.workspace, tag.name, tag.version, 'approval_reason');
    IF said NOT IN ('approved', 'rejected') THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = refusal || ': the tag approval is neither approved nor rejected',
            HINT = 'set the tag approval to one of these two words';
    ELSIF coalesce(who, '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = refusal || ': the tag approved_by is missing',
            HINT = 'set the tag approved_by to your name, then the tag approval';
    END IF;
    objection := lockgate.objection_to_decision(tag.name, tag.version, said);
    IF objection.reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = refusal || ': ' || objection.reason, HINT = objection.hint;
    END IF;
    INSERT INTO lockgate.approvals
        (model, version, bundle_digest, verdict_id, decision, decided_by, recorded_by, reason)
    SELECT tag.name, tag.version, known.bundle_digest, (lockgate.newest_verdict(tag.name, tag.version)).id, said, who,
           session_user, coalesce(why, 'no reason given')
    FROM lockgate.versions AS known
    WHERE (known.model, known.version) = (tag.name, tag.version);
    RETURN NULL;
END
$$;

-- Delete the tags of an approval when a new verdict comes: an approval belongs to one verdict.
CREATE OR REPLACE FUNCTION lockgate.take_approval_off_the_page() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM public.model_version_tags AS tag
    WHERE (tag.workspace, tag.name, tag.version) = ('default', NEW.model, NEW.version)
      AND tag.key IN ('approval', 'approved_by', 'approval_reason')
      AND (lockgate.newest_approval(NEW.model, NEW.version)).decision = 'approved';
    RETURN NULL;
END
$$;
