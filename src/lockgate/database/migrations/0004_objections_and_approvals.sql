-- Why a version may not go where somebody wants it: asked by the guard's triggers at every commit, and by the CLI
-- before it acts. An objection says what is missing, and in its hint what to do; without one, `says` is null.
CREATE TYPE lockgate.objection AS (says text, hint text);

CREATE FUNCTION lockgate.because(says text, hint text) RETURNS lockgate.objection
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT says, hint
$$;

CREATE FUNCTION lockgate.policy_in_force(of_model text) RETURNS lockgate.policies
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT policy
    FROM lockgate.policy_changes AS change
    JOIN lockgate.policies AS policy ON policy.digest = change.policy_digest
    WHERE change.model = of_model
    ORDER BY change.id DESC
    LIMIT 1
$$;

-- A rollback took the version out of Production.
CREATE FUNCTION lockgate.quarantined(of_model text, of_version integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT EXISTS (
        SELECT FROM lockgate.ledger
        WHERE (model, version, from_stage, command) = (of_model, of_version, 'Production', 'rollback')
    )
$$;

-- Is it the version that was registered, and has nobody turned it down?
CREATE FUNCTION lockgate.objection_to_version(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    known lockgate.versions;
    row_in_mlflow public.model_versions;
    approval lockgate.approvals := lockgate.newest_approval(of_model, of_version);
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
        WHEN lockgate.quarantined(of_model, of_version) THEN
            lockgate.because('it is quarantined: a rollback took it out of Production', 'train another one: dvc repro')
        WHEN approval.decision = 'rejected' THEN
            lockgate.because(
                format('%s rejected it: %s', approval.decided_by,
                       regexp_replace(left(approval.reason, 200), '\s+', ' ', 'g')),
                'train another one: dvc repro')
    END;
END
$$;

-- Does its newest verdict let it pass: now, by this clock, under the policy in force?
CREATE FUNCTION lockgate.objection_to_verdict(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    verdict lockgate.verdicts := lockgate.newest_verdict(of_model, of_version);
    policy lockgate.policies := lockgate.policy_in_force(of_model);
BEGIN
    RETURN CASE
        WHEN verdict.id IS NULL THEN lockgate.because('it has no verdict', 'validate it: dvc repro')
        WHEN verdict.outcome <> 'passed' THEN
            lockgate.because(
                format('the verdict on it is %s', verdict.outcome),
                format('see why: lockgate verdict %s', of_version))
        WHEN verdict.policy_digest IS DISTINCT FROM policy.digest THEN
            lockgate.because(
                'its verdict was given under another policy than the one in force',
                'judge it again: dvc repro')
        WHEN clock_timestamp() >= verdict.decided_at + make_interval(days => policy.verdict_valid_days) THEN
            lockgate.because(format('its verdict has expired: it is older than %s days', policy.verdict_valid_days),
                'judge it again: dvc repro')
    END;
END
$$;

-- Has somebody else approved it, where the policy asks for that? A promoter without a name is nobody in particular.
CREATE FUNCTION lockgate.objection_to_approval(of_model text, of_version integer, promoter text)
RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    verdict lockgate.verdicts := lockgate.newest_verdict(of_model, of_version);
    policy lockgate.policies := lockgate.policy_in_force(of_model);
    approval lockgate.approvals := lockgate.newest_approval(of_model, of_version);
    approvers text[] := ARRAY[lower(approval.decided_by), lower(approval.recorded_by)];
BEGIN
    RETURN CASE
        WHEN NOT (policy.approval_required OR policy.two_persons) THEN NULL
        WHEN approval.id IS NULL OR approval.decision <> 'approved' OR approval.verdict_id <> verdict.id THEN
            lockgate.because(format('nobody has approved it on verdict %s', verdict.id),
                format('approve it: lockgate approve %s --reason ..., or in MLflow set the version''s tags approved_by'
                       ' (your name) and approval (approved)', of_version))
        WHEN NOT policy.two_persons THEN NULL
        WHEN promoter IS NULL THEN
            lockgate.because('the policy asks for two persons, and MLflow does not say who is promoting',
                format('promote it by name: lockgate promote %s --reason ...', of_version))
        WHEN lower(verdict.actor) = ANY (approvers) OR lower(promoter) = ANY (approvers) THEN
            lockgate.because(format('the policy asks for two persons: %s approved it, %s validated it, %s promotes it',
                       approval.decided_by, verdict.actor, promoter),
                'let somebody else approve it: lockgate approve')
    END;
END
$$;

-- May it rise to this stage? `serving` is the bundle that it would take the place of in Production, null for none.
CREATE FUNCTION lockgate.objection_to_rise(of_model text, of_version integer, stage text, promoter text, serving text)
RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    objection lockgate.objection := lockgate.objection_to_version(of_model, of_version);
    verdict lockgate.verdicts := lockgate.newest_verdict(of_model, of_version);
BEGIN
    IF objection.says IS NULL THEN
        objection := lockgate.objection_to_verdict(of_model, of_version);
    END IF;
    IF objection.says IS NULL AND stage = 'Production' THEN
        objection := lockgate.objection_to_approval(of_model, of_version, promoter);
        IF objection.says IS NULL AND verdict.serving_digest IS DISTINCT FROM serving THEN
            objection := lockgate.because(
                'it was compared with another version than the one in Production now',
                'judge it again: dvc repro');
        END IF;
    END IF;
    RETURN objection;
END
$$;

-- May it come back to Production? Its verdict was asked for when it went there first, and may have expired since.
CREATE FUNCTION lockgate.objection_to_return(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    objection lockgate.objection := lockgate.objection_to_version(of_model, of_version);
BEGIN
    IF objection.says IS NULL AND NOT EXISTS (
        SELECT FROM lockgate.ledger WHERE (model, version, to_stage) = (of_model, of_version, 'Production')
            AND from_stage <> 'Archived'
    ) THEN
        objection := lockgate.because('it has never been in Production', 'see who has: lockgate history');
    END IF;
    RETURN objection;
END
$$;

-- May somebody approve or reject it?
CREATE FUNCTION lockgate.objection_to_decision(of_model text, of_version integer, decision text)
RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    stage text;
    objection lockgate.objection;
BEGIN
    SELECT current_stage INTO stage FROM public.model_versions
    WHERE (workspace, name, version) = ('default', of_model, of_version);
    IF NOT EXISTS (SELECT FROM lockgate.versions WHERE (model, version) = (of_model, of_version)) THEN
        RETURN lockgate.because(
            'it did not come in through Lockgate, so nobody has judged it',
            'register and validate it: dvc repro');
    ELSIF stage = 'Production' THEN
        RETURN lockgate.because('it is in Production', 'to take it out: lockgate rollback');
    ELSIF decision = 'approved' AND stage NOT IN ('None', 'Staging') THEN
        RETURN lockgate.because(
            format('it is in %s, and nothing leads up from there', stage),
            'train another one: dvc repro');
    ELSIF decision = 'approved' THEN
        RETURN lockgate.objection_to_verdict(of_model, of_version);
    END IF;
    RETURN objection;
END
$$;

-- A reviewer sets the tags `approved_by` and then `approval` in MLflow; the description of the version is the reason.
-- Taking the tag away withdraws the decision. Deferred, so that MLflow shows a refusal without the statement behind it.
CREATE FUNCTION lockgate.record_tagged_approval() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    tag public.model_version_tags := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    standing lockgate.approvals;
    said text := lower(btrim(tag.value));
    who text;
    objection lockgate.objection;
    refusal text := format('the approval of version %s of %s is not recorded', tag.version, tag.name);
BEGIN
    IF tag.key <> 'approval' OR tag.workspace <> 'default'
        OR NOT EXISTS (SELECT FROM lockgate.versions WHERE (model, version) = (tag.name, tag.version))
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
    IF said NOT IN ('approved', 'rejected') THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = refusal || ': the tag approval says neither approved nor rejected',
            HINT = 'set the tag approval to one of these two words';
    ELSIF coalesce(who, '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = refusal || ': nobody has signed it',
            HINT = 'set the tag approved_by to your name, then the tag approval';
    END IF;
    objection := lockgate.objection_to_decision(tag.name, tag.version, said);
    IF objection.says IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = refusal || ': ' || objection.says, HINT = objection.hint;
    END IF;
    INSERT INTO lockgate.approvals
        (model, version, bundle_digest, verdict_id, decision, decided_by, recorded_by, reason)
    SELECT tag.name, tag.version, known.bundle_digest, (lockgate.newest_verdict(tag.name, tag.version)).id, said, who,
           session_user, coalesce(nullif(left(btrim(registered.description), 2000), ''), 'no reason given')
    FROM lockgate.versions AS known
    JOIN public.model_versions AS registered
        ON (registered.workspace, registered.name, registered.version) = (tag.workspace, known.model, known.version)
    WHERE (known.model, known.version) = (tag.name, tag.version);
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER lockgate_record_approval
    AFTER INSERT OR UPDATE OR DELETE ON public.model_version_tags
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW
    EXECUTE FUNCTION lockgate.record_tagged_approval();

-- An approval is of one verdict. With a new one, its tags go from the version's page, so that they can be set again.
CREATE FUNCTION lockgate.take_approval_off_the_page() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    DELETE FROM public.model_version_tags AS tag
    WHERE (tag.workspace, tag.name, tag.version) = ('default', NEW.model, NEW.version)
      AND tag.key IN ('approval', 'approved_by')
      AND (lockgate.newest_approval(NEW.model, NEW.version)).decision = 'approved';
    RETURN NULL;
END
$$;

CREATE TRIGGER take_approval_off_the_page AFTER INSERT ON lockgate.verdicts
    FOR EACH ROW EXECUTE FUNCTION lockgate.take_approval_off_the_page();
