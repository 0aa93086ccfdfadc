-- Schema lockgate: what we know of a version, what was judged, who was about to move it, and what happened.
-- A model is named as in MLflow. Only MLflow's workspace `default` is looked at: Lockgate runs servers without workspaces.

-- A version in MLflow, bound to the bytes of its bundle. The same bundle registered again is the same version.
CREATE TABLE lockgate.versions (
    model         text        NOT NULL,
    version       integer     NOT NULL CHECK (version > 0),
    bundle_digest text        NOT NULL CHECK (bundle_digest ~ '^[0-9a-f]{64}$'),
    run_id        text        NOT NULL,
    lineage       jsonb       NOT NULL DEFAULT '{}',
    registered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, version),
    UNIQUE (model, bundle_digest)
);

-- What the gate said, bound to everything that it looked at. `serving_digest` is that of the version compared with, if any.
CREATE TABLE lockgate.verdicts (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model          text        NOT NULL,
    version        integer     NOT NULL,
    bundle_digest  text        NOT NULL,
    holdout_digest text        NOT NULL,
    policy_digest  text        NOT NULL,
    serving_digest text,
    outcome        text        NOT NULL CHECK (outcome IN ('passed', 'refused', 'inconclusive')),
    checks         jsonb       NOT NULL,
    metrics        jsonb       NOT NULL,
    code_commit    text        NOT NULL,
    actor          text        NOT NULL,
    decided_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (model, version) REFERENCES lockgate.versions,
    CHECK (outcome <> 'passed' OR jsonb_array_length(checks) > 0)
);
CREATE INDEX verdicts_of_version ON lockgate.verdicts (model, version, id DESC);

-- Written by the CLI just before it asks MLflow for a move; the trigger consumes it and so learns who moves and why.
CREATE TABLE lockgate.intents (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model       text        NOT NULL,
    version     integer     NOT NULL,
    from_stage  text        NOT NULL,
    to_stage    text        NOT NULL,
    actor       text        NOT NULL,
    reason      text        NOT NULL,
    command     text        NOT NULL,
    evidence    jsonb       NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    consumed_at timestamptz
);
CREATE INDEX intents_open ON lockgate.intents (model, version, to_stage) WHERE consumed_at IS NULL;

-- One row for each stage change, written by the trigger in the transaction that makes the change.
CREATE TABLE lockgate.ledger (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model         text        NOT NULL,
    version       integer     NOT NULL,
    from_stage    text        NOT NULL,
    to_stage      text        NOT NULL,
    command       text        NOT NULL,
    actor         text        NOT NULL,
    reason        text        NOT NULL,
    db_user       text        NOT NULL,
    intent_id     bigint      REFERENCES lockgate.intents,
    bundle_digest text,
    verdict_id    bigint      REFERENCES lockgate.verdicts,
    at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ledger_of_model ON lockgate.ledger (model, id);
