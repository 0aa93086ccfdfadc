-- Schema lockgate: what we know of a version, what was judged and decided, who was about to move it, and what happened.
-- A model is named as in MLflow. Only its workspace `default` is looked at: Lockgate runs servers without workspaces.

-- A version in MLflow, bound to the bytes of its bundle. The same bundle registered again is the same version.
-- `source` and `storage_location` are where MLflow's row pointed then: one that points elsewhere is not this version.
CREATE TABLE lockgate.versions (
    model            text        NOT NULL,
    version          integer     NOT NULL CHECK (version > 0),
    bundle_digest    text        NOT NULL CHECK (bundle_digest ~ '^[0-9a-f]{64}$'),
    run_id           text        NOT NULL,
    source           text,
    storage_location text,
    lineage          jsonb       NOT NULL DEFAULT '{}',
    registered_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, version),
    UNIQUE (model, bundle_digest)
);

-- The gate's limits and questions, and what they ask of people. Any change is another policy, with another digest.
CREATE TABLE lockgate.policies (
    digest             text        PRIMARY KEY,
    limits             jsonb       NOT NULL,
    checks             jsonb       NOT NULL,
    approval_required  boolean     NOT NULL,
    two_persons        boolean     NOT NULL,
    verdict_valid_days integer     NOT NULL CHECK (verdict_valid_days > 0),
    first_seen_at      timestamptz NOT NULL DEFAULT now()
);

-- Since when a model is judged by which policy, and who brought it in. The newest row is the policy in force.
CREATE TABLE lockgate.policy_changes (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model         text        NOT NULL,
    policy_digest text        NOT NULL REFERENCES lockgate.policies,
    actor         text        NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX policy_changes_of_model ON lockgate.policy_changes (model, id DESC);

-- What the gate said, bound to all that it looked at. `serving_digest` is that of the version compared with, if any.
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

-- What a person said of a version, bound to its bundle and to the verdict before them. The newest row counts.
-- `decided_by` is who decided, `recorded_by` who wrote it down: the same person, or MLflow's user for a tag in its UI.
CREATE TABLE lockgate.approvals (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model         text        NOT NULL,
    version       integer     NOT NULL,
    bundle_digest text        NOT NULL,
    verdict_id    bigint      REFERENCES lockgate.verdicts,
    decision      text        NOT NULL CHECK (decision IN ('approved', 'rejected', 'withdrawn')),
    decided_by    text        NOT NULL,
    recorded_by   text        NOT NULL,
    reason        text        NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (model, version) REFERENCES lockgate.versions,
    CHECK (decision <> 'approved' OR verdict_id IS NOT NULL)
);
CREATE INDEX approvals_of_version ON lockgate.approvals (model, version, id DESC);

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
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    consumed_at timestamptz
);
CREATE INDEX intents_open ON lockgate.intents (model, version, to_stage) WHERE consumed_at IS NULL;

-- One row for each stage change, written by the trigger in the transaction that makes the change. A model's rows are
-- numbered without gaps, and each one holds the hash of the one before it.
CREATE TABLE lockgate.ledger (
    model          text        NOT NULL,
    seq            integer     NOT NULL,
    version        integer     NOT NULL,
    from_stage     text        NOT NULL,
    to_stage       text        NOT NULL,
    command        text        NOT NULL,
    actor          text        NOT NULL,
    reason         text        NOT NULL,
    db_user        text        NOT NULL,
    intent_id      bigint      REFERENCES lockgate.intents,
    bundle_digest  text,
    verdict_id     bigint      REFERENCES lockgate.verdicts,
    holdout_digest text,
    policy_digest  text,
    code_commit    text,
    approval_id    bigint      REFERENCES lockgate.approvals,
    approved_by    text,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous_hash  text        NOT NULL,
    hash           text        NOT NULL,
    PRIMARY KEY (model, seq)
);
CREATE INDEX ledger_of_version ON lockgate.ledger (model, version);

-- Which command may make which stage change: a copy of lifecycle.LEGAL_MOVES, renewed by `lockgate guard install`.
CREATE TABLE lockgate.legal_moves (
    from_stage text NOT NULL,
    to_stage   text NOT NULL,
    command    text NOT NULL,
    PRIMARY KEY (from_stage, to_stage, command)
);

-- When the guard was put on and taken off, and by whom.
CREATE TABLE lockgate.guard_changes (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change  text        NOT NULL CHECK (change IN ('installed', 'removed')),
    actor   text        NOT NULL,
    db_user text        NOT NULL DEFAULT session_user,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
