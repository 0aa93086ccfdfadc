"""The options that choose the version that forecasts, the confidence of its bounds, and whether a file is replaced."""

import click

from lockgate.cli.common_options import VERSION
from lockgate.errors import WrongUsage
from lockgate.lifecycle.stages import Stage
from lockgate.problem.confidence import DEFAULT

STAGES = [str(Stage.PRODUCTION), str(Stage.STAGING)]  # at most one version is in each

stage = click.option("--stage", type=click.Choice(STAGES), help="Use the version in this stage. Default: Production.")
version = click.option("--version", type=VERSION, help="Use this version.")
confidence = click.option(
    "--confidence",
    type=float,
    default=DEFAULT,
    show_default=True,
    help="Confidence of the interval from lower to upper.",
)
force = click.option("--force", is_flag=True, help="Replace the output file if it exists.")


def chosen(stage: str | None, version: int | None) -> Stage | int:
    """The version or stage that the two options name. Raises WrongUsage for both."""
    if stage and version:
        raise WrongUsage("--stage and --version exclude each other", hint="name one of them")
    return version or Stage(stage or Stage.PRODUCTION)
