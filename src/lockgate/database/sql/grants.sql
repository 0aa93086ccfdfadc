-- Owners and rights in schemas lockgate and lockgate_artifacts. Their owner alone writes, beside the group roles of
-- roles.sql; any role may be allowed to read. The owner of MLflow's tables, whatever its name is here, has no rights in
-- schema lockgate; among the artifacts it reads, adds chunks, and calls four functions.
DO $$
DECLARE
    mlflow regrole := (SELECT relowner FROM pg_class WHERE oid = 'public.model_versions'::regclass);
    role text;
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER TABLE %s OWNER TO %s', relation.oid::regclass, nspowner::regrole)
        FROM pg_class AS relation JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
        WHERE nspname IN ('lockgate', 'lockgate_artifacts') AND relkind IN ('r', 'p') AND relowner <> nspowner
        UNION ALL
        SELECT format('ALTER FUNCTION %s OWNER TO %s', function.oid::regprocedure, nspowner::regrole)
        FROM pg_proc AS function JOIN pg_namespace AS namespace ON namespace.oid = pronamespace
        WHERE nspname IN ('lockgate', 'lockgate_artifacts') AND proowner <> nspowner
    LOOP
        EXECUTE statement;
    END LOOP;
    FOR role IN
        SELECT DISTINCT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
        FROM pg_class AS relation, aclexplode(relation.relacl) AS acl
        WHERE relation.relnamespace IN ('lockgate'::regnamespace, 'lockgate_artifacts'::regnamespace)
          AND acl.grantee <> relation.relowner
        UNION
        SELECT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
        FROM pg_attribute AS attribute JOIN pg_class AS relation ON relation.oid = attrelid, aclexplode(attacl) AS acl
        WHERE relation.relnamespace IN ('lockgate'::regnamespace, 'lockgate_artifacts'::regnamespace)
    LOOP
        EXECUTE format(
            'REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'
            ' ON ALL TABLES IN SCHEMA lockgate, lockgate_artifacts FROM %s', role);
    END LOOP;
    FOR role IN
        SELECT DISTINCT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END
        FROM pg_namespace AS namespace, aclexplode(namespace.nspacl) AS acl
        WHERE nspname IN ('lockgate', 'lockgate_artifacts') AND acl.grantee <> namespace.nspowner
    LOOP
        EXECUTE format('REVOKE CREATE ON SCHEMA lockgate, lockgate_artifacts FROM %s', role);
    END LOOP;
    FOR role IN
        SELECT DISTINCT acl.grantee::regrole::text
        FROM pg_proc AS function, aclexplode(function.proacl) AS acl
        WHERE pronamespace = 'lockgate_artifacts'::regnamespace AND acl.grantee NOT IN (0, function.proowner)
    LOOP
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA lockgate_artifacts FROM %s', role);
    END LOOP;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA lockgate_artifacts FROM PUBLIC;
    REVOKE ALL ON FUNCTION lockgate.cover, lockgate.make_month_of_predictions FROM PUBLIC;
    EXECUTE format('GRANT USAGE ON SCHEMA lockgate_artifacts TO %s', mlflow);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA lockgate_artifacts TO %s', mlflow);
    EXECUTE format('GRANT INSERT ON lockgate_artifacts.chunks TO %s', mlflow);
    EXECUTE format(
        'GRANT EXECUTE ON FUNCTION lockgate_artifacts.claim, lockgate_artifacts.keep, lockgate_artifacts.remove,'
        ' lockgate_artifacts.holder TO %s', mlflow);
END
$$;
