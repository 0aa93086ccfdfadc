"""`up` and `down` start and stop the local services; `env` prints their addresses as variables."""

import shlex
from pathlib import Path

import click

from lockgate.cli.common_options import command, tell
from lockgate.system import service_urls


@command("up", example="lockgate up")
@click.option("--port", type=click.IntRange(1, 65535), help="MLflow's port; 5000 or the next free one if not given.")
@click.option(
    "--artifacts",
    type=click.Choice(["folder", "database"]),
    help="Where MLflow keeps the files of models and runs; as before if not given, at first in the folder.",
)
def up(port: int | None, artifacts: str | None, timeout: float) -> None:
    """Start Postgres and the MLflow server in .lockgate, or say that they run."""
    from lockgate.stack import up_down

    place = up_down.Place(artifacts) if artifacts else None
    seconds = max(timeout, up_down.START_SECONDS)
    found = up_down.up(Path.cwd(), port=port, artifacts=place, timeout=seconds, tell=tell)
    click.echo(f"MLflow    {found.tracking_uri}")
    click.echo(f"Postgres  {service_urls.masked(found.database_url)}")


@command("down", example="lockgate down")
def down(timeout: float) -> None:
    """Stop exactly what `up` started here. The data stays."""
    from lockgate.stack import up_down

    up_down.down(Path.cwd(), timeout=max(timeout, up_down.STOP_SECONDS), tell=tell)


@command("env", example='eval "$(lockgate env)"')
def env(timeout: float) -> None:
    """Print the variables by which plain mlflow and psql reach the services."""
    for name, value in service_urls.env(service_urls.find(Path.cwd())).items():
        click.echo(f"export {name}={shlex.quote(value)}")
