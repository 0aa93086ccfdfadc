"""`approve` and `reject`: the decision of a reviewer on a version."""

from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import LINE, VERSION, command, reason, say, session, workspace

if TYPE_CHECKING:
    from lockgate.lifecycle.moves import Move


@command("approve", example='lockgate approve 3 --reason "holidays checked by hand" --by anna')
@click.argument("version", type=VERSION)
@reason
@click.option(
    "--by", type=LINE, metavar="NAME", help="Name of the approver. Default: LOCKGATE_ACTOR, else the login name."
)
def approve(version: int, reason: str, by: str | None, timeout: float) -> None:
    """Approve a version.

    The approval applies to the newest verdict on VERSION. With gate.approval_required or gate.two_persons in
    params.yaml, a version without an approval cannot be promoted.
    """
    from lockgate.operations import review

    done = review.approve(workspace(timeout), version, reason, by)
    session().ids["version"] = version
    say(f"version {version} approved by {done.decided_by} on verdict {done.verdict_id}")


@command("reject", example='lockgate reject 3 --reason "far too low in December"')
@click.argument("version", type=VERSION)
@reason
def reject(version: int, reason: str, timeout: float) -> None:
    """Reject a version and archive it.

    A rejected version cannot go to Staging or Production again.
    """
    from lockgate.operations import review

    def report(move: "Move | None") -> None:
        session().ids["version"] = version
        moved = f"went from {move.from_stage} to {move.to_stage}" if move else "was already archived"
        click.echo(f"version {version} rejected; it {moved}")

    review.reject(workspace(timeout), version, reason, report)
