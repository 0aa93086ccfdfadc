"""`serve`: answers requests for forecasts over HTTP with the version in a stage."""

import signal

import click

from lockgate.cli.common_options import command, workspace
from lockgate.lifecycle.stages import Stage

STAGES = [str(Stage.PRODUCTION), str(Stage.STAGING)]
PORT = 5010


@command("serve", example="lockgate serve --port 5010")
@click.option(
    "--stage", type=click.Choice(STAGES), default=STAGES[0], show_default=True, help="The stage whose version answers."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port; 0: any free one.")
def serve(stage: str, host: str, port: int, timeout: float) -> None:
    """Answer requests for forecasts over HTTP.

    POST rows to /invocations in the scoring protocol of MLflow. The headers of an answer name the version that gave it.
    Stop the server with Ctrl-C.
    """
    from lockgate.serving import server

    stopped_by = server.serve(workspace(timeout), server.Settings(host, port, Stage(stage)))
    signal.raise_signal(stopped_by)
