-- The tables of schemas lockgate and lockgate_artifacts as they are now. A database that was made by earlier code gets
-- the same tables from the files in upgrades/. Constraints, triggers, functions and grants: in the files beside this one.
-- A model is named as in MLflow. Lockgate registers versions in MLflow's workspace `default`.
--
-- Columns that mean the same in each table:
--   id: the number of the row, in the order of writing
--   model: the name of the registered model in MLflow
--   version: the number of the version in MLflow
--   actor: the person or job that ran the command (LOCKGATE_ACTOR, else the login name)
--   db_user: the role of the database session
--   reason: the reason that the command was given
--   at: the time of the row, by the clock of the database
--   bundle_digest: SHA-256 of the manifest of the version's files
--   holdout_digest: SHA-256 of the rows that judged the version
--   policy_digest: SHA-256 of the policy in `policies`
--   request_id: the id of the request, a UUID
--   segment: the values of the key columns
--   period: the number of the period of the row
--   row: the place of the row in its request, from 0

CREATE SCHEMA IF NOT EXISTS lockgate;

-- Which files made these tables: the number of this one at the time, then each upgrade.
CREATE TABLE lockgate.migrations (
    number integer     NOT NULL, -- of the file
    name   text        NOT NULL, -- of the file
    run_at timestamptz NOT NULL -- when it ran
);

-- When the functions, triggers, constraints and grants of this folder were applied, with the digest of their sources.
-- The newest row is in force.
CREATE TABLE lockgate.definitions (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    digest     text        NOT NULL, -- SHA-256 of all these files
    db_user    text        NOT NULL DEFAULT session_user,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp() -- when they were applied
);

-- A version in MLflow, bound to the bytes of its bundle. The same bundle registered again is the same version.
-- `source` and `storage_location` are those of MLflow's row at registration; a row that points elsewhere is refused.
CREATE TABLE lockgate.versions (
    model            text        NOT NULL,
    version          integer     NOT NULL,
    bundle_digest    text        NOT NULL,
    run_id           text        NOT NULL, -- the run in MLflow
    source           text, -- where MLflow has the files
    storage_location text, -- the same, as MLflow resolved it
    lineage          jsonb       NOT NULL DEFAULT '{}', -- data, code, params, candidates and packages of the training
    registered_at    timestamptz NOT NULL DEFAULT now() -- when it was registered
);

-- The limits and checks of the gate, and what they require of people. Any change is another policy, with its own digest.
CREATE TABLE lockgate.policies (
    digest             text        NOT NULL, -- SHA-256 of the limits and the names of the checks
    limits             jsonb       NOT NULL, -- the keys under `gate`, and the keys of the problem that a verdict depends on
    checks             jsonb       NOT NULL, -- the names of the checks
    approval_required  boolean     NOT NULL, -- gate.approval_required
    two_persons        boolean     NOT NULL, -- gate.two_persons
    verdict_valid_days integer     NOT NULL, -- gate.verdict_valid_days
    first_seen_at      timestamptz NOT NULL DEFAULT now() -- when a version was first judged by it
);

-- Which policy a model is judged by, since when, and who put it in force. The newest row of a model is in force.
CREATE TABLE lockgate.policy_changes (
    id            bigint      GENERATED ALWAYS AS IDENTITY,
    model         text        NOT NULL,
    policy_digest text        NOT NULL,
    actor         text        NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX policy_changes_of_model ON lockgate.policy_changes (model, id DESC);

-- The outcome of the gate, bound to the digests of its inputs. `serving_digest` is the bundle that was in Production.
CREATE TABLE lockgate.verdicts (
    id             bigint      GENERATED ALWAYS AS IDENTITY,
    model          text        NOT NULL,
    version        integer     NOT NULL,
    bundle_digest  text        NOT NULL,
    holdout_digest text        NOT NULL,
    policy_digest  text        NOT NULL,
    serving_digest text, -- bundle of the version in Production at that time
    outcome        text        NOT NULL, -- passed, refused or inconclusive
    checks         jsonb       NOT NULL, -- name, outcome and message of each check
    metrics        jsonb       NOT NULL, -- every score and measured number
    code_commit    text        NOT NULL, -- git commit of the folder that judged
    actor          text        NOT NULL,
    decided_at     timestamptz NOT NULL DEFAULT now() -- when the gate judged
);
CREATE INDEX verdicts_of_version ON lockgate.verdicts (model, version, id DESC);

-- A person's decision on a version, bound to its bundle and to the verdict that the person saw. The newest row counts.
-- `decided_by` is the person, `recorded_by` the writer: the same person, or MLflow's database user for a tag in its UI.
CREATE TABLE lockgate.approvals (
    id            bigint      GENERATED ALWAYS AS IDENTITY,
    model         text        NOT NULL,
    version       integer     NOT NULL,
    bundle_digest text        NOT NULL,
    verdict_id    bigint, -- the verdict that the person saw
    decision      text        NOT NULL, -- approved, rejected or withdrawn
    decided_by    text        NOT NULL, -- the person
    recorded_by   text        NOT NULL, -- who wrote the row
    reason        text        NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX approvals_of_version ON lockgate.approvals (model, version, id DESC);

-- Written by a command before it asks MLflow for a move; the trigger that records the move consumes it, and so knows the
-- actor and the reason. `holder` is the database session that held the model's lock; `reported_at` is when the command
-- reported the move: a command that was killed before that reports it when it is repeated.
CREATE TABLE lockgate.intents (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    model       text        NOT NULL,
    version     integer     NOT NULL,
    from_stage  text        NOT NULL, -- stage before the move
    to_stage    text        NOT NULL, -- stage after it
    actor       text        NOT NULL,
    reason      text        NOT NULL,
    command     text        NOT NULL, -- such as promote or rollback
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(), -- when the command announced the move
    consumed_at timestamptz, -- when the trigger recorded the move
    holder      integer, -- process id of the database session that held the lock of the model
    reported_at timestamptz -- when the command reported the move
);
CREATE INDEX intents_open ON lockgate.intents (model, version, to_stage) WHERE consumed_at IS NULL;

-- The audit log: one row for each stage change, written by a trigger in the transaction that makes the change. The rows
-- of a model are numbered without gaps, and each one holds the hash of the row before it.
CREATE TABLE lockgate.ledger (
    model          text        NOT NULL,
    seq            integer     NOT NULL, -- number of the row of this model, without gaps
    version        integer     NOT NULL,
    from_stage     text        NOT NULL, -- stage before the move
    to_stage       text        NOT NULL, -- stage after it
    command        text        NOT NULL, -- such as promote; `out of band` without a command of Lockgate
    actor          text        NOT NULL,
    reason         text        NOT NULL,
    db_user        text        NOT NULL,
    intent_id      bigint, -- the intent that the trigger consumed
    bundle_digest  text,
    verdict_id     bigint, -- the verdict that allowed the move
    holdout_digest text,
    policy_digest  text,
    code_commit    text, -- of the verdict
    approval_id    bigint, -- the approval that counted
    approved_by    text, -- the person who approved
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous_hash  text        NOT NULL, -- hash of the row before it
    hash           text        NOT NULL -- SHA-256 of this row and the previous hash
);
CREATE INDEX ledger_of_version ON lockgate.ledger (model, version);

-- Number and hash of each model's last ledger row. A ledger that lost its last rows is a whole chain, but shorter than
-- its head.
CREATE TABLE lockgate.ledger_heads (
    model text    NOT NULL,
    seq   integer NOT NULL, -- number of the last row
    hash  text    NOT NULL -- hash of the last row
);

-- Which command may make which stage change: a copy of lifecycle.LEGAL_MOVES, renewed by `lockgate guard install`.
CREATE TABLE lockgate.legal_moves (
    from_stage text NOT NULL, -- stage before the move
    to_stage   text NOT NULL, -- stage after it
    command    text NOT NULL -- that may make it
);

-- When the guard was installed and removed, which model was covered and uncovered, when the default was opened and
-- closed, and by whom. The newest row of its kind counts. `model` is null for the guard and the default.
CREATE TABLE lockgate.guard_changes (
    id      bigint      GENERATED ALWAYS AS IDENTITY,
    change  text        NOT NULL, -- installed, removed, covered, uncovered, opened or closed
    actor   text        NOT NULL,
    db_user text        NOT NULL DEFAULT session_user,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    model   text
);
CREATE INDEX guard_changes_of_model ON lockgate.guard_changes (model, id DESC);

-- How often the registry was locked to change what is covered: one row, which a transaction with an older snapshot cannot
-- lock.
CREATE TABLE lockgate.registry_locks (
    count bigint NOT NULL -- of locks so far
);
INSERT INTO lockgate.registry_locks VALUES (0);

-- The version of each covered model that is in Production, kept by the guard. Its primary key refuses a second one, also
-- to transactions that cannot see each other.
CREATE TABLE lockgate.in_production (
    model   text    NOT NULL,
    version integer NOT NULL
);

-- The predictions on record: one row for each row of a request and each version that scored it. `period` is the number of
-- the row's period, `horizon` its distance from the end of training; `segment` has the values of the key columns. `class`
-- is the chosen class. Each month (UTC) is a partition, made by the first prediction of the month.
CREATE TABLE lockgate.predictions (
    at            timestamptz      NOT NULL, -- time of the request, by the clock of the server
    request_id    uuid             NOT NULL,
    "row"         integer          NOT NULL,
    role          text             NOT NULL, -- served, canary, shadow or batch
    model         text             NOT NULL,
    version       integer          NOT NULL,
    digest        text             NOT NULL, -- digest of the bundle that gave the answer
    stage         text, -- stage of the version
    degraded      boolean          NOT NULL, -- true for an answer of the verified copy, without the registry
    caller_id     text, -- the id that the caller gave
    confidence    real             NOT NULL, -- of the bounds
    latency_ms    real             NOT NULL, -- time to score the request
    features      jsonb            NOT NULL, -- the columns of the row
    segment       jsonb            NOT NULL,
    period        bigint,
    horizon       integer, -- periods from the end of the training
    prediction    double precision, -- the forecast, or the probability of the positive class
    lower         double precision, -- lower bound
    upper         double precision, -- upper bound
    class         text, -- chosen class
    probabilities jsonb -- of each class, for more than two
) PARTITION BY RANGE (at);
CREATE INDEX predictions_of_segment ON lockgate.predictions (model, segment, at DESC);
CREATE INDEX predictions_of_version ON lockgate.predictions (model, version, at);
CREATE INDEX predictions_of_period ON lockgate.predictions (model, segment, period) WHERE period IS NOT NULL;
CREATE INDEX predictions_of_request ON lockgate.predictions (request_id);

-- What came true, named by segment and period, or by request and row where the problem has neither. The newest row of a
-- name is in force; a correction is a further row, which names the row that it corrects.
CREATE TABLE lockgate.truth (
    id         bigint           GENERATED ALWAYS AS IDENTITY,
    model      text             NOT NULL,
    segment    jsonb            NOT NULL,
    period     bigint,
    request_id uuid,
    "row"      integer,
    value      double precision, -- what came true, for numbers
    class      text, -- what came true, for classes
    corrects   bigint, -- the row that this one corrects
    source     text             NOT NULL, -- the file
    actor      text             NOT NULL,
    loaded_at  timestamptz      NOT NULL DEFAULT clock_timestamp() -- when it was loaded
);
CREATE INDEX truth_of_segment ON lockgate.truth (model, segment, period, id DESC) WHERE request_id IS NULL;
CREATE INDEX truth_of_request ON lockgate.truth (model, request_id, "row", id DESC) WHERE request_id IS NOT NULL;
CREATE UNIQUE INDEX truth_corrections ON lockgate.truth (corrects) WHERE corrects IS NOT NULL;

-- Why a version may not move, and the next step. The reason is null if nothing is in the way.
CREATE TYPE lockgate.objection AS (reason text, hint text);

-- MLflow's artifacts, where its server keeps them in its database (--artifacts-destination lockgate-artifacts:/).
-- A file names its content, a blob, by its SHA-256; files with the same content share one blob. A blob is cut into chunks.
-- MLflow's role has no rights in schema lockgate. Here it reads the tables, adds chunks, and changes the rest by the
-- functions that are granted to it. The schema may be there already: artifacts outlive a schema lockgate made anew.
CREATE SCHEMA IF NOT EXISTS lockgate_artifacts;

CREATE TABLE IF NOT EXISTS lockgate_artifacts.blobs (
    digest text   NOT NULL, -- SHA-256 of the content
    size   bigint NOT NULL -- in bytes
);

-- Storage EXTERNAL: model files hardly compress. toast_tuple_target: a chunk is one row that fills one page
-- (database/artifacts.py cuts them so), and Postgres need not store its bytes out of line.
CREATE TABLE IF NOT EXISTS lockgate_artifacts.chunks (
    digest text    NOT NULL, -- of the blob
    number integer NOT NULL, -- place of the chunk in the blob, from 0
    bytes  bytea   NOT NULL -- the content
) WITH (toast_tuple_target = 8160);
ALTER TABLE lockgate_artifacts.chunks ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Ordered by bytes, so that the files in folder f are those between f/ and f0 (0 is the character after the slash).
CREATE TABLE IF NOT EXISTS lockgate_artifacts.files (
    path      text        COLLATE "C" NOT NULL, -- of the artifact
    digest    text        NOT NULL, -- of the blob
    logged_at timestamptz NOT NULL DEFAULT clock_timestamp() -- when it was written
);
CREATE INDEX IF NOT EXISTS files_of_blob ON lockgate_artifacts.files (digest);

-- The share of requests that a canary answers: who set it, when, and why. The newest row of a model and stage is in force.
CREATE TABLE lockgate.serving_shares (
    id     bigint      GENERATED ALWAYS AS IDENTITY,
    model  text        NOT NULL,
    stage  text        NOT NULL, -- Staging
    share  integer     NOT NULL, -- in percent
    actor  text        NOT NULL,
    reason text        NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The requests for forecasts that servers answered in each minute, by HTTP status: also those without a forecast.
CREATE TABLE lockgate.request_counts (
    model    text        NOT NULL,
    minute   timestamptz NOT NULL, -- by the clock of the server
    status   integer     NOT NULL, -- HTTP status of the answer
    requests bigint      NOT NULL -- how many
);
