"""`up` and `down` start and stop the local services; `env` prints their addresses as variables."""

import shlex
from pathlib import Path

import click

from lockgate.cli.common_options import command, params, tell
from lockgate.errors import StateConflict, WrongUsage
from lockgate.problem.params import PARAMS_FILE
from lockgate.system import page_addresses, service_urls

MIGRATION_SECONDS = 120.0


@command("up", example="lockgate up")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of MLflow. Default: 5000, or the next free port.")
@click.option(
    "--artifacts",
    type=click.Choice(["folder", "database"]),
    help="Where MLflow stores the files of models and runs. Default: as at the last start; at the first start, folder.",
)
@click.option(
    "--workers", type=click.IntRange(0, 1024),
    help="Also start a local Dask cluster with this number of worker processes; 0 stops it.",
)  # fmt: skip
@click.option(
    "--worker-memory", metavar="SIZE",
    help="Memory of each worker, such as 2GiB. Default: an equal part of the machine's memory.",
)  # fmt: skip
def up(port: int | None, artifacts: str | None, workers: int | None, worker_memory: str | None, timeout: float) -> None:
    """Start Postgres and the MLflow server.

    Their data is in .lockgate of the nearest folder, from this one upward, that has a stack, else of this folder. If
    they run already, the command prints their addresses. With `--workers`, a Dask cluster runs beside them, and
    `engine: {kind: dask}` in params.yaml runs the work there; another number of workers starts the cluster again.
    """
    from lockgate.stack import up_down

    if worker_memory and not workers:
        raise WrongUsage(
            "--worker-memory without --workers", hint="give the number of workers: lockgate up --workers 2"
        )

    place = up_down.Place(artifacts) if artifacts else None
    seconds = max(timeout, up_down.START_SECONDS)
    default = params().guard.default if PARAMS_FILE.exists() else None
    wanted = None if workers is None else up_down.Workers(workers, worker_memory)
    folder = service_urls.stack_folder(Path.cwd())
    found = up_down.up(folder, port=port, artifacts=place, workers=wanted, timeout=seconds, tell=tell)
    if default:
        _set_guard_default(found.database_url, default, timeout)
    click.echo(f"MLflow    {found.tracking_uri}")
    click.echo(f"Lockgate  {found.tracking_uri}{page_addresses.overview()}")
    click.echo(f"Postgres  {service_urls.masked(found.database_url)}")
    if cluster := up_down.cluster(folder):
        click.echo(f"Dask      {cluster}")


def _set_guard_default(database_url: str, default: str, timeout: float) -> None:
    from lockgate.database import coverage
    from lockgate.database.connection import Database

    try:
        coverage.set_default(Database(database_url, timeout), default, actor="lockgate up")
    except StateConflict as violations:
        tell(f"warning: {violations}; {violations.hint}")


@command("migrate", example="lockgate migrate", project=False)
@click.option("--no-logins", is_flag=True, help="Leave out the tables of users, which MLflow's app basic-auth needs.")
@click.option("--no-roles", is_flag=True, help="Leave out the group roles of the database.")
def migrate(no_logins: bool, no_roles: bool, timeout: float) -> None:
    """Make or update all tables, rules and rights of a deployment.

    Run it as the owner of the database, before its MLflow server starts: at the first start and after each upgrade. It
    brings MLflow's tables, schema lockgate, the guard and the group roles to this version. A second call changes
    nothing. `lockgate up` does this for the local stack.
    """
    from lockgate.operations import prepare_database
    from lockgate.operations.workspace import actor_here

    url = service_urls.find(Path.cwd()).database_url
    seconds = max(timeout, MIGRATION_SECONDS)
    done = prepare_database.prepare(
        url, seconds, f"{actor_here()} (lockgate migrate)", with_logins=not no_logins, with_roles=not no_roles
    )
    click.echo("; ".join(done) or "nothing to do")


@command("down", example="lockgate down")
def down(timeout: float) -> None:
    """Stop the services that `up` started here or in a folder above.

    The data stays.
    """
    from lockgate.stack import up_down

    folder = service_urls.stack_folder(Path.cwd())
    up_down.down(folder, timeout=max(timeout, up_down.STOP_SECONDS), tell=tell)


@command("env", example='eval "$(lockgate env)"')
def env(timeout: float) -> None:
    """Print the addresses of the services as shell variables.

    mlflow and psql read these variables.
    """
    for name, value in service_urls.env(service_urls.find(Path.cwd())).items():
        click.echo(f"export {name}={shlex.quote(value)}")
