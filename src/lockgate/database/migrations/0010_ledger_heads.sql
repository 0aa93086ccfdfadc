-- The head of each model's ledger, kept beside it: number and hash of the last row. A ledger that was cut off at its end
-- is a whole chain, and still shorter than its head.
CREATE TABLE lockgate.ledger_heads (
    model text    PRIMARY KEY,
    seq   integer NOT NULL,
    hash  text    NOT NULL
);
INSERT INTO lockgate.ledger_heads
SELECT DISTINCT ON (model) model, seq, hash FROM lockgate.ledger ORDER BY model, seq DESC;

CREATE FUNCTION lockgate.keep_ledger_head() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO lockgate.ledger_heads VALUES (NEW.model, NEW.seq, NEW.hash)
    ON CONFLICT (model) DO UPDATE SET seq = EXCLUDED.seq, hash = EXCLUDED.hash;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_ledger_head AFTER INSERT ON lockgate.ledger
    FOR EACH ROW EXECUTE FUNCTION lockgate.keep_ledger_head();

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON lockgate.ledger_heads
    FOR EACH STATEMENT EXECUTE FUNCTION lockgate.refuse_change();
