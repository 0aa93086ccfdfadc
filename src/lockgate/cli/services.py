"""`up`, `down`, `env`: the services behind every other command."""

import shlex
from pathlib import Path

import click

from lockgate import addresses
from lockgate.cli.frame import command, tell


@command("up", example="lockgate up")
@click.option("--port", type=click.IntRange(1, 65535), help="MLflow's port; 5000 or the next free one if not given.")
@click.option(
    "--artifacts",
    type=click.Choice(["folder", "database"]),
    help="Where MLflow keeps the files of models and runs; as before if not given, at first in the folder.",
)
def up(port: int | None, artifacts: str | None, timeout: float) -> None:
    """Start Postgres and the MLflow server in .lockgate, or say that they run."""
    from lockgate import stack

    place = stack.Place(artifacts) if artifacts else None
    seconds = max(timeout, stack.START_SECONDS)
    found = stack.up(Path.cwd(), port=port, artifacts=place, timeout=seconds, tell=tell)
    click.echo(f"MLflow    {found.tracking_uri}")
    click.echo(f"Postgres  {addresses.masked(found.database_url)}")


@command("down", example="lockgate down")
def down(timeout: float) -> None:
    """Stop exactly what `up` started here. The data stays."""
    from lockgate import stack

    stack.down(Path.cwd(), timeout=max(timeout, stack.STOP_SECONDS), tell=tell)


@command("env", example='eval "$(lockgate env)"')
def env(timeout: float) -> None:
    """Print the variables by which plain mlflow and psql reach the services."""
    for name, value in addresses.env(addresses.find(Path.cwd())).items():
        click.echo(f"export {name}={shlex.quote(value)}")
