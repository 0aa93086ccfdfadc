"""`serve`: answers requests for forecasts over HTTP with the version in a stage."""

import re
import signal
import sys
from pathlib import Path

import click

from lockgate.cli.common_options import Number, command, workspace
from lockgate.cli.fallback_options import fallback_days, fallback_terms, no_fallback
from lockgate.cli.version_options import STAGES
from lockgate.errors import WrongUsage
from lockgate.lifecycle.stages import Stage

PORT = 5010


class Share(click.ParamType[tuple[Stage, int]]):
    """A stage and a share of the requests in percent, such as Staging=10."""

    name = "stage=percent"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Stage, int]:
        """The stage and the share; a usage error for another text."""
        found = re.fullmatch(r"(Staging)=([0-9]{1,3})", str(value))
        if not found or int(found[2]) > 100:
            self.fail("write it as Staging=10: the share is a whole number from 0 to 100", param, ctx)
        return Stage(found[1]), int(found[2])


SHARE = Share()


@command("serve", example="lockgate serve --port 5010")
@click.option(
    "--stage", type=click.Choice(STAGES), default=STAGES[0], show_default=True, help="The stage whose version answers."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port; 0: any free one.")
@click.option(
    "--workers",
    "count",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Number of processes that share the port.",
)
@click.option("--shadow", type=click.Choice(STAGES[1:]), help="Score requests with this stage too, for the log.")
@click.option("--canary", type=SHARE, help="Let another stage answer a share in percent: Staging=10.")
@click.option(
    "--grace",
    type=Number(min=0, max=3600),
    default=20,
    show_default=True,
    metavar="SECONDS",
    help="Time of requests in flight when the server stops.",
)
@click.option(
    "--keep-previous",
    type=Number(min=0, max=3600),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Time after a switch in which a request may still name the version before it.",
)
@click.option("--no-pin", is_flag=True, help="Let no request name its version, and keep no version after a switch.")
@click.option("--no-log", is_flag=True, help="Do not log predictions.")
@no_fallback
@fallback_days
def serve(
    stage: str,
    host: str,
    port: int,
    count: int,
    shadow: str | None,
    canary: tuple[Stage, int] | None,
    grace: float,
    keep_previous: float,
    no_pin: bool,
    no_log: bool,
    no_fallback: bool,
    fallback_days: float,
    timeout: float,
) -> None:
    """Answer requests for forecasts over HTTP.

    POST rows to /invocations in the scoring protocol of MLflow. The headers of an answer name the version that gave it.
    The server follows the stage: a new version answers without a restart. A request may name the version that shall
    answer by the header X-Lockgate-Version. Stop the server with Ctrl-C.
    """
    _check(stage, shadow, canary, no_log)
    from lockgate.prediction_log import spool
    from lockgate.serving import server, workers
    from lockgate.serving.follow import Followed
    from lockgate.serving.pin import Pinning

    found, share = canary or (None, None)
    followed = Followed(Stage(stage), Stage(shadow) if shadow else None, found)
    terms = fallback_terms(no_fallback, fallback_days)
    spools = spool.folder(Path.cwd())
    pinning = Pinning(not no_pin, keep_previous)
    settings = server.Settings(host, port, spools, followed, share, not no_log, terms, grace=grace, pinning=pinning)
    place = workspace(timeout)
    try:
        stopped_by = server.serve(place, settings) if count == 1 else workers.serve(place, settings, count)
    except workers.WorkerFailed as failed:
        sys.exit(failed.code)
    signal.raise_signal(stopped_by)


def _check(stage: str, shadow: str | None, canary: tuple[Stage, int] | None, no_log: bool) -> None:
    """Raise WrongUsage for options that contradict each other."""
    if shadow and canary:
        raise WrongUsage("--shadow and --canary exclude each other", hint="a version answers, or it is only logged")
    if stage == Stage.STAGING and (shadow or canary):
        raise WrongUsage("--stage and the other option name one stage", hint="let the version in Production answer")
    if shadow and no_log:
        raise WrongUsage("--shadow without the log has no result", hint="leave out --no-log")
