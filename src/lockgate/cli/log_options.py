"""The options of commands that log their forecasts, and what they print."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import session, tell

if TYPE_CHECKING:
    from lockgate.operations.batch_log import Logged

no_log = click.option("--no-log", is_flag=True, help="Do not write the forecasts to the prediction log.")


def spool_folder(no_log: bool) -> Path | None:
    """The folder of the spool; None without the log."""
    from lockgate.prediction_log import spool

    return None if no_log else spool.folder(Path.cwd())


def tell_waiting(logged: "Logged") -> None:
    """Say on stderr that the log waits in the spool, if it does."""
    if logged.waits:
        session().ids["spooled"] = logged.rows
        tell(f"{logged.rows} forecasts wait in the spool, because {logged.waits}; move them with: lockgate log drain")
