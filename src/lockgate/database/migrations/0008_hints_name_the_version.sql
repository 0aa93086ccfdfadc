-- Who is refused for want of a verdict is told how to get one for this very version, wherever it was trained: `dvc repro`
-- judges what it has trained itself. The questions are those of 0004 and 0005, in new words.

-- Does its newest verdict let it pass: now, by this clock, under the policy in force?
CREATE OR REPLACE FUNCTION lockgate.objection_to_verdict(of_model text, of_version integer) RETURNS lockgate.objection
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
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

-- What stands in the way of a version on its way up?
CREATE OR REPLACE FUNCTION lockgate.objection_to_rise(of_model text, of_version integer, stage text, promoter text, serving text)
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
                format('judge it again: lockgate validate %s', of_version));
        END IF;
    END IF;
    RETURN objection;
END
$$;

-- What is said of a move that nobody may make.
CREATE OR REPLACE FUNCTION lockgate.illegal_move(entry lockgate.ledger) RETURNS lockgate.objection
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT lockgate.because(
        format('it may not go from %s to %s', entry.from_stage, entry.to_stage),
        CASE
            WHEN entry.to_stage = 'Production' AND entry.from_stage = 'Archived' THEN
                format('to bring back what was in Production before: lockgate rollback --to %s --reason ...',
                       entry.version)
            WHEN entry.to_stage = 'Production' THEN
                format('Production is reached from Staging: lockgate validate %s, then lockgate promote', entry.version)
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
