-- The rights of Lockgate's four group roles, as GRANT statements that database/roles.py reads. The owner of schema lockgate
-- has every right and is none of them. Logins become members: GRANT lockgate_reader TO grafana.

-- Reads everything but the password tables and secrets of MLflow: dashboards, psql.
GRANT USAGE ON SCHEMA lockgate TO lockgate_reader;
GRANT SELECT ON TABLE
    lockgate.approvals, lockgate.definitions, lockgate.guard_changes, lockgate.in_production, lockgate.intents,
    lockgate.ledger, lockgate.ledger_heads, lockgate.legal_moves, lockgate.migrations, lockgate.policies,
    lockgate.policy_changes, lockgate.predictions, lockgate.registry_locks, lockgate.request_counts,
    lockgate.serving_shares, lockgate.truth, lockgate.verdicts, lockgate.versions
    TO lockgate_reader;
GRANT SELECT ON TABLE
    public.alembic_version, public.datasets, public.experiment_tags, public.experiments, public.input_tags,
    public.inputs, public.latest_metrics, public.logged_model_metrics, public.logged_model_params,
    public.logged_model_tags, public.logged_models, public.metrics, public.model_version_tags, public.model_versions,
    public.params, public.registered_model_aliases, public.registered_model_tags, public.registered_models,
    public.runs, public.tags
    TO lockgate_reader, lockgate_app;

-- Serves: finds the version of a stage, loads it, logs its forecasts, counts requests, sets the share of a canary. It
-- reads no forecast and no truth.
GRANT USAGE ON SCHEMA lockgate TO lockgate_scorer;
GRANT SELECT ON TABLE
    lockgate.approvals, lockgate.definitions, lockgate.guard_changes, lockgate.ledger, lockgate.migrations,
    lockgate.policies, lockgate.policy_changes, lockgate.serving_shares, lockgate.verdicts, lockgate.versions
    TO lockgate_scorer;
GRANT SELECT ON TABLE
    public.experiments, public.model_version_tags, public.model_versions, public.registered_model_aliases,
    public.registered_model_tags, public.registered_models
    TO lockgate_scorer;
GRANT INSERT ON TABLE lockgate.predictions, lockgate.serving_shares TO lockgate_scorer, lockgate_app;
GRANT SELECT, INSERT, UPDATE ON TABLE lockgate.request_counts TO lockgate_scorer, lockgate_app;
GRANT EXECUTE ON FUNCTION lockgate.make_month_of_predictions TO lockgate_scorer, lockgate_app;

-- The commands: registers, judges, decides, moves, monitors, collects. It writes no row of the ledger itself, and changes
-- none that is append-only.
GRANT USAGE ON SCHEMA lockgate TO lockgate_app;
GRANT SELECT ON TABLE
    lockgate.definitions, lockgate.guard_changes, lockgate.in_production, lockgate.ledger, lockgate.ledger_heads,
    lockgate.legal_moves, lockgate.migrations, lockgate.predictions, lockgate.registry_locks, lockgate.serving_shares
    TO lockgate_app;
GRANT SELECT, INSERT ON TABLE
    lockgate.approvals, lockgate.policies, lockgate.policy_changes, lockgate.truth, lockgate.verdicts, lockgate.versions
    TO lockgate_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE lockgate.intents TO lockgate_app;
GRANT EXECUTE ON FUNCTION lockgate.cover TO lockgate_app;
GRANT INSERT, UPDATE, DELETE ON TABLE public.model_version_tags, public.registered_model_aliases TO lockgate_app;
GRANT UPDATE, DELETE ON TABLE public.logged_models, public.runs TO lockgate_app;
GRANT DELETE ON TABLE
    public.input_tags, public.inputs, public.latest_metrics, public.metrics, public.params, public.tags
    TO lockgate_app;

-- MLflow's server: the rows of all its tables, and artifacts. It owns no table, so it cannot drop a trigger.
GRANT USAGE ON SCHEMA lockgate_artifacts TO lockgate_server;
GRANT SELECT ON TABLE lockgate_artifacts.blobs, lockgate_artifacts.chunks, lockgate_artifacts.files TO lockgate_server;
GRANT INSERT ON TABLE lockgate_artifacts.chunks TO lockgate_server;
GRANT EXECUTE ON FUNCTION
    lockgate_artifacts.claim, lockgate_artifacts.keep, lockgate_artifacts.remove, lockgate_artifacts.holder
    TO lockgate_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.* TO lockgate_server;
GRANT USAGE, SELECT ON SEQUENCE public.* TO lockgate_server;
