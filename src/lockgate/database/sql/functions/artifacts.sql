-- Whether the blob is new, so that its chunks must be sent. An existing blob stays at least until this transaction ends.
-- The function waits for a blob that another transaction is sending.
CREATE OR REPLACE FUNCTION lockgate_artifacts.claim(of_digest text, of_size bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    LOOP
        INSERT INTO lockgate_artifacts.blobs VALUES (of_digest, of_size) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN true;
        END IF;
        PERFORM FROM lockgate_artifacts.blobs WHERE digest = of_digest FOR KEY SHARE;
        IF FOUND THEN
            RETURN false;
        END IF;
    END LOOP;
END
$$;

-- Lets transactions add and remove files one after the other, so that none decides on files that another is changing.
CREATE OR REPLACE FUNCTION lockgate_artifacts.alone() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('lockgate.artifacts', 0))
$$;

-- Delete the blobs without a file, but not those that an upload has just claimed. If the upload fails, a later call deletes
-- them.
CREATE OR REPLACE FUNCTION lockgate_artifacts.let_go() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM lockgate_artifacts.blobs
    WHERE digest IN (
        SELECT digest
        FROM lockgate_artifacts.blobs AS blob
        WHERE NOT EXISTS (SELECT FROM lockgate_artifacts.files AS file WHERE file.digest = blob.digest)
        FOR UPDATE SKIP LOCKED
    )
$$;

-- A version in MLflow's registry whose folder is this place, or is inside it, or contains it; NULL if there is none.
CREATE OR REPLACE FUNCTION lockgate_artifacts.holder(place text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('version %s of %s', version, name)
    FROM (
        SELECT name, version, regexp_replace(location, '^mlflow-artifacts:(//[^/]*)?/*', '') AS folder
        FROM public.model_versions, LATERAL (VALUES (source), (storage_location)) AS told (location)
        WHERE current_stage <> 'Deleted_Internal' AND location LIKE 'mlflow-artifacts:%'
    ) AS registered
    WHERE starts_with(place || '/', folder || '/') OR starts_with(folder || '/', place || '/')
    ORDER BY name, version
    LIMIT 1
$$;

CREATE OR REPLACE FUNCTION lockgate_artifacts.refuse(reason text, hint text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = reason, HINT = hint;
END
$$;

-- Whether a folder above the path has the file MLmodel: a new file there could belong to a registered version.
CREATE OR REPLACE FUNCTION lockgate_artifacts.lies_in_a_model(at_path text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM lockgate_artifacts.files
        WHERE path IN (
            SELECT array_to_string(parts[:depth], '/') || '/MLmodel'
            FROM (SELECT string_to_array(at_path, '/') AS parts) AS cut,
                 generate_series(1, cardinality(parts) - 1) AS depth
        )
    )
$$;

-- Let a path name a claimed blob. A repetition changes nothing. Files of a logged model or of a registered version are
-- written once, and a registered version gets no further files; other files may be overwritten.
CREATE OR REPLACE FUNCTION lockgate_artifacts.keep(at_path text, of_digest text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    parts text[] := string_to_array(at_path, '/');
    before text;
BEGIN
    PERFORM lockgate_artifacts.alone();
    SELECT digest INTO before FROM lockgate_artifacts.files WHERE path = at_path;
    IF before = of_digest THEN
        RETURN;
    END IF;
    IF before IS NOT NULL AND at_path ~ '(^|/)models/m-[^/]+/artifacts/' THEN
        PERFORM lockgate_artifacts.refuse(format('%s was logged before with other content', at_path),
            'files of a logged model are written once: log the changed model anew');
    END IF;
    IF (before IS NOT NULL OR lockgate_artifacts.lies_in_a_model(at_path))
        AND lockgate_artifacts.holder(at_path) IS NOT NULL
    THEN
        PERFORM lockgate_artifacts.refuse(
            format('%s belongs to %s', at_path, lockgate_artifacts.holder(at_path)),
            'register the changed files as a version of their own');
    END IF;
    IF EXISTS (SELECT FROM lockgate_artifacts.files WHERE path > at_path || '/' AND path < at_path || '0') THEN
        PERFORM lockgate_artifacts.refuse(format('%s is a folder', at_path), 'log the file under another name');
    END IF;
    IF EXISTS (
        SELECT FROM lockgate_artifacts.files
        WHERE path IN (SELECT array_to_string(parts[:depth], '/') FROM generate_series(1, cardinality(parts) - 1) AS depth)
    ) THEN
        PERFORM lockgate_artifacts.refuse(format('%s lies under a file', at_path), 'log the file under another name');
    END IF;
    INSERT INTO lockgate_artifacts.files (path, digest) VALUES (at_path, of_digest)
    ON CONFLICT (path) DO UPDATE SET digest = EXCLUDED.digest, logged_at = EXCLUDED.logged_at;
    IF before IS NOT NULL THEN
        PERFORM lockgate_artifacts.let_go();
    END IF;
END
$$;

-- Delete a file, or a folder with its files, and return the number of files. Refused while a registered version needs it.
CREATE OR REPLACE FUNCTION lockgate_artifacts.remove(place text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    PERFORM lockgate_artifacts.alone();
    IF lockgate_artifacts.holder(place) IS NOT NULL THEN
        PERFORM lockgate_artifacts.refuse(
            format('%s belongs to %s', place, lockgate_artifacts.holder(place)), 'delete that version first');
    END IF;
    DELETE FROM lockgate_artifacts.files WHERE path = place OR path > place || '/' AND path < place || '0';
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM lockgate_artifacts.let_go();
    RETURN removed;
END
$$;
