-- Run once by the Postgres image, as its superuser, when it makes the database; it may be run again. The owner of the
-- database is no superuser, and each server has a login with the rights of its group: docs/how-to/deploy.md.
\getenv owner LOCKGATE_POSTGRES_PASSWORD
\getenv mlflow MLFLOW_POSTGRES_PASSWORD
\getenv scoring SCORING_POSTGRES_PASSWORD
SELECT format('CREATE ROLE %I %s', name, option)
FROM (VALUES
    ('lockgate', 'LOGIN'), ('mlflow', 'LOGIN'), ('scoring', 'LOGIN'),
    ('lockgate_app', 'NOLOGIN'), ('lockgate_scorer', 'NOLOGIN'), ('lockgate_reader', 'NOLOGIN'), ('lockgate_server', 'NOLOGIN')
) AS wanted (name, option)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE lockgate PASSWORD :'owner';
ALTER ROLE mlflow PASSWORD :'mlflow';
ALTER ROLE scoring PASSWORD :'scoring';
-- The MLflow server also shows Lockgate's pages, which record decisions and intents.
GRANT lockgate_server, lockgate_app TO mlflow;
GRANT lockgate_scorer TO scoring;
ALTER DATABASE :"DBNAME" OWNER TO lockgate;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO lockgate_app, lockgate_scorer, lockgate_server;
GRANT CONNECT ON DATABASE :"DBNAME" TO lockgate_reader;
