-- From the tables of schema 12 to those of tables.sql.

-- The predictions on record: one row for each row of a request and each version that scored it. `period` is the number of
-- the row's period, `horizon` its distance from the end of training; `segment` has the values of the key columns. `class`
-- is the chosen class. Each month (UTC) is a partition, made by the first prediction of the month.
CREATE TABLE lockgate.predictions (
    at            timestamptz      NOT NULL,
    request_id    uuid             NOT NULL,
    "row"         integer          NOT NULL,
    role          text             NOT NULL,
    model         text             NOT NULL,
    version       integer          NOT NULL,
    digest        text             NOT NULL,
    stage         text,
    degraded      boolean          NOT NULL,
    caller_id     text,
    confidence    real             NOT NULL,
    latency_ms    real             NOT NULL,
    features      jsonb            NOT NULL,
    segment       jsonb            NOT NULL,
    period        bigint,
    horizon       integer,
    prediction    double precision,
    lower         double precision,
    upper         double precision,
    class         text,
    probabilities jsonb
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
    value      double precision,
    class      text,
    corrects   bigint,
    source     text             NOT NULL,
    actor      text             NOT NULL,
    loaded_at  timestamptz      NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX truth_of_segment ON lockgate.truth (model, segment, period, id DESC) WHERE request_id IS NULL;
CREATE INDEX truth_of_request ON lockgate.truth (model, request_id, "row", id DESC) WHERE request_id IS NOT NULL;
CREATE UNIQUE INDEX truth_corrections ON lockgate.truth (corrects) WHERE corrects IS NOT NULL;

-- The share of requests that a canary answers: who set it, when, and why. The newest row of a model and stage is in force.
CREATE TABLE lockgate.serving_shares (
    id     bigint      GENERATED ALWAYS AS IDENTITY,
    model  text        NOT NULL,
    stage  text        NOT NULL,
    share  integer     NOT NULL,
    actor  text        NOT NULL,
    reason text        NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The requests for forecasts that servers answered in each minute, by HTTP status: also those without a forecast.
CREATE TABLE lockgate.request_counts (
    model    text        NOT NULL,
    minute   timestamptz NOT NULL,
    status   integer     NOT NULL,
    requests bigint      NOT NULL
);
