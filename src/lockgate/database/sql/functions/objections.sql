-- The objections to stage changes: the guard's triggers ask for them at each commit, and the commands before they act.
-- An objection has a reason and a hint; the reason is null if nothing is in the way.

CREATE OR REPLACE FUNCTION lockgate.because(reason text, hint text) RETURNS lockgate.objection
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT reason, hint
$$;

CREATE OR REPLACE FUNCTION lockgate.policy_in_force(of_model text) RETURNS lockgate.policies
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT policy
    FROM lockgate.policy_changes AS change
    JOIN lockgate.policies AS policy ON policy.digest = change.policy_digest
    WHERE change.model = of_model
    ORDER BY change.id DESC
    LIMIT 1
$$;

-- The last ledger row before this transaction in which the version enters or leaves Production.
CREATE OR REPLACE FUNCTION lockgate.last_of_production(of_model text, of_version integer) RETURNS lockgate.ledger
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT entry
    FROM lockgate.ledger AS entry
    WHERE entry.model = of_model AND entry.version = of_version AND 'Production' IN (entry.from_stage, entry.to_stage)
      AND entry.xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
    ORDER BY entry.seq DESC
    LIMIT 1
$$;

-- Whether a rollback took the version out of Production, and was not undone.
CREATE OR REPLACE FUNCTION lockgate.quarantined(of_model text, of_version integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((last.from_stage, last.command) = ('Production', 'rollback'), false)
    FROM lockgate.last_of_production(of_model, of_version) AS last
$$;

-- The objection to a version that is not on record, or that points to another run or files than at its registration.
CREATE OR REPLACE FUNCTION lockgate.objection_to_identity(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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
                'it was registered outside Lockgate, so it has no verdict',
                'register and validate it: dvc repro')
        WHEN (known.run_id, known.source, known.storage_location)
            IS DISTINCT FROM (row_in_mlflow.run_id, row_in_mlflow.source, row_in_mlflow.storage_location) THEN
            lockgate.because(
                'it points to another run or source than when it was registered',
                'register the bundle again: dvc repro')
    END;
END
$$;

-- The objection to a version that a person has rejected.
CREATE OR REPLACE FUNCTION lockgate.objection_of_people(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    approval lockgate.approvals := lockgate.newest_approval(of_model, of_version);
BEGIN
    RETURN CASE
        WHEN approval.decision = 'rejected' THEN
            lockgate.because(
                format('%s rejected it: %s', approval.decided_by,
                       regexp_replace(left(approval.reason, 200), '\s+', ' ', 'g')),
                'train another version: dvc repro')
    END;
END
$$;

-- The objection to a version by itself: identity, quarantine, rejection.
CREATE OR REPLACE FUNCTION lockgate.objection_to_version(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    objection lockgate.objection := lockgate.objection_to_identity(of_model, of_version);
BEGIN
    RETURN CASE
        WHEN objection.reason IS NOT NULL THEN objection
        WHEN lockgate.quarantined(of_model, of_version) THEN
            lockgate.because('it is quarantined: a rollback took it out of Production', 'train another version: dvc repro')
        ELSE lockgate.objection_of_people(of_model, of_version)
    END;
END
$$;

-- The objection to a version whose newest verdict is not passed, has expired, or was given under another policy.
CREATE OR REPLACE FUNCTION lockgate.objection_to_verdict(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    verdict lockgate.verdicts := lockgate.newest_verdict(of_model, of_version);
    policy lockgate.policies := lockgate.policy_in_force(of_model);
BEGIN
    RETURN CASE
        WHEN verdict.id IS NULL THEN 
            lockgate.because('it has no verdict', format('validate it: lockgate validate %s', of_version))
        WHEN verdict.outcome <> 'passed' THEN
            lockgate.because(
                format('the verdict on it is %s', verdict.outcome),
                format('see why: lockgate verdict %s', of_version))
        WHEN verdict.policy_digest IS DISTINCT FROM policy.digest THEN
            lockgate.because(
                'its verdict was given under another policy than the one in force',
                format('judge it again: lockgate validate %s', of_version))
        WHEN clock_timestamp() >= verdict.decided_at + make_interval(days => policy.verdict_valid_days) THEN
            lockgate.because(format('its verdict has expired: it is older than %s days', policy.verdict_valid_days),
                format('judge it again: lockgate validate %s', of_version))
    END;
END
$$;

-- The objection to a version without the approval that the policy requires. The promoter is null if MLflow's client is one.
CREATE OR REPLACE FUNCTION lockgate.objection_to_approval(of_model text, of_version integer, promoter text)
RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    verdict lockgate.verdicts := lockgate.newest_verdict(of_model, of_version);
    policy lockgate.policies := lockgate.policy_in_force(of_model);
    approval lockgate.approvals := lockgate.newest_approval(of_model, of_version);
    approvers text[] := ARRAY[lower(approval.decided_by), lower(approval.recorded_by)];
BEGIN
    RETURN CASE
        WHEN NOT (policy.approval_required OR policy.two_persons) THEN NULL
        WHEN approval.id IS NULL OR approval.decision <> 'approved' OR approval.verdict_id <> verdict.id THEN
            lockgate.because(format('it has no approval on verdict %s', verdict.id),
                format('approve it: lockgate approve %s --reason ..., or in MLflow set the version''s tags approved_by'
                       ' (your name) and approval (approved)', of_version))
        WHEN NOT policy.two_persons THEN NULL
        WHEN promoter IS NULL THEN
            lockgate.because('the policy requires two persons, and MLflow does not name the promoter',
                format('promote it by name: lockgate promote %s --reason ...', of_version))
        WHEN lower(verdict.actor) = ANY (approvers) OR lower(promoter) = ANY (approvers) THEN
            lockgate.because(format('the policy requires two persons: %s approved it, %s validated it, %s promotes it',
                       approval.decided_by, verdict.actor, promoter),
                'let another person approve it: lockgate approve')
    END;
END
$$;

-- The objection to a move up to this stage. `serving` is the bundle that it replaces in Production, null for none.
CREATE OR REPLACE FUNCTION lockgate.objection_to_rise(of_model text, of_version integer, stage text, promoter text, serving text)
RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    objection lockgate.objection := lockgate.objection_to_version(of_model, of_version);
    verdict lockgate.verdicts := lockgate.newest_verdict(of_model, of_version);
BEGIN
    IF objection.reason IS NULL THEN
        objection := lockgate.objection_to_verdict(of_model, of_version);
    END IF;
    IF objection.reason IS NULL AND stage = 'Production' THEN
        objection := lockgate.objection_to_approval(of_model, of_version, promoter);
        IF objection.reason IS NULL AND verdict.serving_digest IS DISTINCT FROM serving THEN
            objection := lockgate.because(
                'it was compared with another version than the one in Production now',
                format('judge it again: lockgate validate %s', of_version));
        END IF;
    END IF;
    RETURN objection;
END
$$;

-- The objection to a return to Production. The verdict was checked at the first promotion, and may have expired since.
CREATE OR REPLACE FUNCTION lockgate.objection_to_return(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    objection lockgate.objection := lockgate.objection_to_version(of_model, of_version);
BEGIN
    IF objection.reason IS NULL AND NOT EXISTS (
        SELECT FROM lockgate.ledger WHERE (model, version, to_stage) = (of_model, of_version, 'Production')
            AND from_stage <> 'Archived'
    ) THEN
        objection := lockgate.because('it has never been in Production', 'see the versions that have: lockgate history');
    END IF;
    RETURN objection;
END
$$;

-- The objection to undoing the last rollback with this version. Its quarantine is no objection, because the undo lifts it.
CREATE OR REPLACE FUNCTION lockgate.objection_to_undo(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    objection lockgate.objection := lockgate.objection_to_identity(of_model, of_version);
    departed lockgate.ledger;
BEGIN
    SELECT * INTO departed FROM lockgate.ledger
    WHERE (model, from_stage) = (of_model, 'Production')
      AND xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid
    ORDER BY seq DESC LIMIT 1;
    RETURN CASE
        WHEN objection.reason IS NOT NULL THEN objection
        WHEN (departed.version, departed.command) IS DISTINCT FROM (of_version, 'rollback') THEN
            lockgate.because('it is not the version that the last rollback took out of Production', 'see: lockgate history')
        ELSE lockgate.objection_of_people(of_model, of_version)
    END;
END
$$;

-- The objection to an approval or a rejection.
CREATE OR REPLACE FUNCTION lockgate.objection_to_decision(of_model text, of_version integer, decision text)
RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stage text;
    objection lockgate.objection;
BEGIN
    SELECT current_stage INTO stage FROM public.model_versions
    WHERE (workspace, name, version) = ('default', of_model, of_version);
    IF NOT EXISTS (SELECT FROM lockgate.versions WHERE (model, version) = (of_model, of_version)) THEN
        RETURN lockgate.because(
            'it was registered outside Lockgate, so it has no verdict',
            'register and validate it: dvc repro');
    ELSIF stage = 'Production' THEN
        RETURN lockgate.because('it is in Production', 'to take it out: lockgate rollback');
    ELSIF decision = 'approved' AND stage NOT IN ('None', 'Staging') THEN
        RETURN lockgate.because(
            format('it is in %s, and no stage change leads up from there', stage),
            'train another version: dvc repro');
    ELSIF decision = 'approved' THEN
        RETURN lockgate.objection_to_verdict(of_model, of_version);
    END IF;
    RETURN objection;
END
$$;
