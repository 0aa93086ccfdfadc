-- From the tables of schema 8, 9, 10 or 11 to those of tables.sql.

CREATE TABLE lockgate.definitions (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    digest     text        NOT NULL,
    db_user    text        NOT NULL DEFAULT session_user,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS lockgate.ledger_heads (
    model text    NOT NULL,
    seq   integer NOT NULL,
    hash  text    NOT NULL
);
INSERT INTO lockgate.ledger_heads
SELECT DISTINCT ON (model) model, seq, hash
FROM lockgate.ledger
WHERE model NOT IN (SELECT model FROM lockgate.ledger_heads)
ORDER BY model, seq DESC;

CREATE TABLE lockgate.registry_locks (
    count bigint NOT NULL
);
INSERT INTO lockgate.registry_locks VALUES (0);

CREATE TABLE lockgate.in_production (
    model   text    NOT NULL,
    version integer NOT NULL
);

ALTER TABLE lockgate_artifacts.chunks SET (toast_tuple_target = 8160);

ALTER TABLE lockgate.intents RENAME COLUMN told_at TO reported_at;
ALTER TYPE lockgate.objection RENAME ATTRIBUTE says TO reason;

-- Every model was under the guard; from here on, those are that Lockgate has registered.
ALTER TABLE lockgate.guard_changes ADD COLUMN model text;
CREATE INDEX guard_changes_of_model ON lockgate.guard_changes (model, id DESC);
ALTER TABLE lockgate.guard_changes DROP CONSTRAINT guard_changes_change_check;
INSERT INTO lockgate.guard_changes (change, actor, model)
SELECT DISTINCT 'covered', 'upgrade of the schema', model FROM lockgate.versions ORDER BY model;

-- In its place: the primary key of lockgate.in_production, for covered models alone.
ALTER TABLE public.model_versions DROP CONSTRAINT IF EXISTS lockgate_one_production;
