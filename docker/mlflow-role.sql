-- Run once by the Postgres image, when it makes the database. MLflow owns its tables in schema public and has no rights in
-- schema lockgate.
\getenv password MLFLOW_POSTGRES_PASSWORD
CREATE ROLE mlflow LOGIN PASSWORD :'password';
GRANT ALL ON SCHEMA public TO mlflow;
