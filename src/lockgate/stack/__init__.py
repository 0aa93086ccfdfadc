"""The local services: Postgres and the MLflow server, started and stopped."""
