-- Make the partition of a month (UTC) in table predictions, unless it is there. The caller needs no right to make tables.
-- Made and then attached: unlike CREATE TABLE ... PARTITION OF, this waits for no reader of the log, and stops none.
CREATE OR REPLACE FUNCTION lockgate.make_month_of_predictions(first_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month date := date_trunc('month', first_day);
    partition text := 'predictions_' || to_char(month, 'YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('lockgate.predictions', 0));
    IF to_regclass('lockgate.' || partition) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE lockgate.%I (LIKE lockgate.predictions INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
        partition);
    EXECUTE format('ALTER TABLE lockgate.predictions ATTACH PARTITION lockgate.%I FOR VALUES FROM (%L) TO (%L)',
        partition, month || ' 00:00:00+00', (month + interval '1 month')::date || ' 00:00:00+00');
END
$$;
