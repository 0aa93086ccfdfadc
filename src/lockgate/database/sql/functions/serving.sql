-- Notify the listeners of channel lockgate_serving when the share of a canary was set.
CREATE OR REPLACE FUNCTION lockgate.tell_of_share() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('lockgate_serving', json_build_object(
        'model', NEW.model, 'stage', NEW.stage, 'share', NEW.share
    )::text);
    RETURN NULL;
END
$$;
