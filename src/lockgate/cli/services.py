"""`up` and `down` start and stop the local services; `env` prints their addresses as variables."""

import shlex
from pathlib import Path

import click

from lockgate.cli.common_options import command, params, tell
from lockgate.errors import StateConflict
from lockgate.problem.params import PARAMS_FILE
from lockgate.system import service_urls


@command("up", example="lockgate up")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of MLflow. Default: 5000, or the next free port.")
@click.option(
    "--artifacts",
    type=click.Choice(["folder", "database"]),
    help="Where MLflow stores the files of models and runs. Default: as at the last start; at the first start, folder.",
)
def up(port: int | None, artifacts: str | None, timeout: float) -> None:
    """Start Postgres and the MLflow server.

    Their data is in .lockgate of the nearest folder, from this one upward, that has a stack, else of this folder. If
    they run already, the command prints their addresses.
    """
    from lockgate.stack import up_down

    place = up_down.Place(artifacts) if artifacts else None
    seconds = max(timeout, up_down.START_SECONDS)
    default = params().guard.default if PARAMS_FILE.exists() else None
    found = up_down.up(service_urls.stack_folder(Path.cwd()), port=port, artifacts=place, timeout=seconds, tell=tell)
    if default:
        _set_guard_default(found.database_url, default, timeout)
    click.echo(f"MLflow    {found.tracking_uri}")
    click.echo(f"Postgres  {service_urls.masked(found.database_url)}")


def _set_guard_default(database_url: str, default: str, timeout: float) -> None:
    from lockgate.database import coverage
    from lockgate.database.connection import Database

    try:
        coverage.set_default(Database(database_url, timeout), default, actor="lockgate up")
    except StateConflict as violations:
        tell(f"warning: {violations}; {violations.hint}")


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
