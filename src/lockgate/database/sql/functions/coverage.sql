-- Which models are under the gate. A model that is not covered behaves as on a plain MLflow server: nothing is refused,
-- recorded or mirrored. A model is covered by its first version that Lockgate registers, or by `lockgate guard cover`;
-- with the default closed, every model is covered but for those that were uncovered. Coverage goes by name, in every
-- workspace of MLflow.

-- A registered model that MLflow uses for a prompt: tagged as one, without verdicts and stages.
CREATE OR REPLACE FUNCTION lockgate.is_prompt(of_model text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM public.registered_model_tags
        WHERE name = of_model AND key = 'mlflow.prompt.is_prompt' AND lower(value) = 'true'
    )
$$;

-- The newest decision on the model itself: covered, uncovered, or null.
CREATE OR REPLACE FUNCTION lockgate.coverage_of(of_model text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT change FROM lockgate.guard_changes WHERE model = of_model ORDER BY id DESC LIMIT 1
$$;

CREATE OR REPLACE FUNCTION lockgate.default_is_closed() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        (SELECT change = 'closed' FROM lockgate.guard_changes
         WHERE model IS NULL AND change IN ('opened', 'closed') ORDER BY id DESC LIMIT 1),
        false)
$$;

CREATE OR REPLACE FUNCTION lockgate.covers(of_model text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        lockgate.coverage_of(of_model) = 'covered',
        lockgate.default_is_closed() AND NOT lockgate.is_prompt(of_model))
$$;

-- A transaction with a snapshot of its own may be older than the decision to cover a model. `refuse_old_snapshot` fails in
-- such a transaction with a serialization error, since `lock_registry` has written the row since then.
CREATE OR REPLACE FUNCTION lockgate.refuse_old_snapshot() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM FROM lockgate.registry_locks FOR SHARE;
    END IF;
END
$$;

-- Nothing in MLflow's registry moves until the end of this transaction.
CREATE OR REPLACE FUNCTION lockgate.lock_registry() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE lockgate.registry_locks SET count = count + 1;
    LOCK TABLE public.model_versions, public.registered_model_aliases IN SHARE ROW EXCLUSIVE MODE;
END
$$;

-- What the guard would not have allowed in the covered models, or in the one that is named: a sentence for each.
CREATE OR REPLACE FUNCTION lockgate.violations(of_model text) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    (
        SELECT format('versions %s of %s are all in Production: archive all but one',
                      string_agg(version::text, ', ' ORDER BY version), name)
        FROM public.model_versions
        WHERE current_stage = 'Production' AND name = coalesce(of_model, name) AND lockgate.covers(name)
        GROUP BY workspace, name
        HAVING count(*) > 1
        ORDER BY name
    )
    UNION ALL
    (
        SELECT format('the alias %s of %s points to version %s, and %s in %s: take the alias away',
                      alias, name, version, coalesce('version ' || holder || ' is', 'nothing is'), initcap(alias))
        FROM (
            SELECT alias.*, (
                SELECT max(held.version)
                FROM public.model_versions AS held
                WHERE (held.workspace, held.name, held.current_stage)
                        = (alias.workspace, alias.name, initcap(alias.alias))
                  AND alias.alias = lower(alias.alias)
            ) AS holder
            FROM public.registered_model_aliases AS alias
            WHERE lower(alias.alias) IN ('production', 'staging') AND alias.name = coalesce(of_model, alias.name)
              AND lockgate.covers(alias.name)
        ) AS pointing
        WHERE version IS DISTINCT FROM holder
        ORDER BY name, alias
    )
$$;

-- Take covered models over as they stand, or the one that is named: a ledger row for each version that was in a stage
-- before, aliases that mirror the stages, and the version in Production.
CREATE OR REPLACE FUNCTION lockgate.take_over(of_model text, by_actor text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO lockgate.ledger
        (model, version, from_stage, to_stage, command, actor, reason, db_user, bundle_digest)
    SELECT registry.name, registry.version, 'None', registry.current_stage, 'adopt', by_actor,
           'found there when the guard was installed', session_user, ours.bundle_digest
    FROM public.model_versions AS registry
    LEFT JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (registry.name, registry.version)
    WHERE registry.workspace = 'default' AND registry.current_stage IN ('Staging', 'Production', 'Archived')
      AND registry.name = coalesce(of_model, registry.name) AND lockgate.covers(registry.name)
      AND NOT EXISTS (
          SELECT FROM lockgate.ledger WHERE (model, version) = (registry.name, registry.version)
      )
    ORDER BY registry.name, registry.version;

    PERFORM lockgate.mirror_stages('default', name), lockgate.hold_production(name)
    FROM public.model_versions
    WHERE workspace = 'default' AND current_stage IN ('Staging', 'Production')
      AND name = coalesce(of_model, name) AND lockgate.covers(name)
    GROUP BY name;
END
$$;

CREATE OR REPLACE FUNCTION lockgate.guard_is_on() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = 'public.model_versions'::regclass AND tgname = 'Lockgate_guard_versions'
    )
$$;

-- Put a model under the gate; whether it was not there before. Refused while its versions or aliases violate the rules.
CREATE OR REPLACE FUNCTION lockgate.cover(of_model text, by_actor text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    violation text;
BEGIN
    IF lockgate.coverage_of(of_model) = 'covered' THEN
        RETURN false;
    END IF;
    PERFORM lockgate.lock_registry();
    IF lockgate.coverage_of(of_model) = 'covered' THEN
        RETURN false;
    END IF;
    INSERT INTO lockgate.guard_changes (change, actor, model) VALUES ('covered', by_actor, of_model);
    SELECT string_agg(sentence, '; ') INTO violation FROM lockgate.violations(of_model) AS sentence;
    IF violation IS NOT NULL AND lockgate.guard_is_on() THEN
        RAISE EXCEPTION USING ERRCODE = 'restrict_violation',
            MESSAGE = format('%s does not come under the gate: %s', of_model, violation),
            HINT = format('resolve it in MLflow, then: lockgate guard cover %s', of_model);
    END IF;
    IF violation IS NULL THEN
        PERFORM lockgate.take_over(of_model, by_actor);
    END IF;
    RETURN true;
END
$$;

-- The first version that Lockgate registers puts its model under the gate.
CREATE OR REPLACE FUNCTION lockgate.cover_registered_model() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM lockgate.cover(NEW.model, format('the registration of version %s', NEW.version));
    RETURN NULL;
END
$$;
