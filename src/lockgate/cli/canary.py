"""`canary`: shows or sets the share of requests that the version in Staging answers."""

import click

from lockgate.cli.common_options import LINE, as_json, command, print_json, table, workspace
from lockgate.cli.serve import SHARE
from lockgate.errors import WrongUsage
from lockgate.lifecycle.stages import Stage


@command("canary", example='lockgate canary Staging=25 --reason "no complaints at 10 %"')
@click.argument("share", type=SHARE, required=False)
@click.option("--reason", type=LINE, help="The reason, in one line; needed to set a share.")
@as_json
def canary(share: tuple[Stage, int] | None, reason: str | None, as_json: bool, timeout: float) -> None:
    """Show or set the share of a canary.

    Without a share, the command prints every share that was set. Servers that run with --canary follow a new share at
    once.
    """
    from lockgate.database import serving_shares

    if share and not reason:
        raise WrongUsage("a share needs a reason", hint='add --reason "..."')
    place = workspace(timeout)
    if share and reason:
        serving_shares.set_share(place.database, place.model, share[0], share[1], (place.actor, reason))
        click.echo(f"the canary of {place.model} answers {share[1]} % of the requests with the version in {share[0]}")
        return
    found = serving_shares.shares(place.database, place.model)
    if as_json:
        print_json([vars(each) for each in found])
    elif not found:
        click.echo(f"no share of a canary of {place.model} was ever set")
    else:
        rows = [(f"{each.at:%F %T}", each.stage, f"{each.share} %", each.actor, each.reason) for each in found]
        table(("when (UTC)", "stage", "share", "who", "why"), rows, paged=True)
