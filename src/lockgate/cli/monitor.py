"""`monitor`, `replay`: how the forecasts of Production came true, and how another version would have done."""

import textwrap
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import (
    PREPARED,
    VERSION,
    Number,
    as_json,
    command,
    for_reading,
    params,
    print_json,
    say,
    session,
    table,
    tell,
    workspace,
)
from lockgate.errors import GateRefused, LockgateError
from lockgate.problem.metrics import METRICS

if TYPE_CHECKING:
    from lockgate.monitoring.monitored import Monitored
    from lockgate.operations.alert import Receivers
    from lockgate.operations.monitor import Inputs, Order
    from lockgate.operations.workspace import Workspace
    from lockgate.system.output_file import OutFile

WIDTH = 80
ROLES = ("served", "canary", "batch", "shadow")
prepared = click.option(
    "--prepared", type=click.Path(path_type=Path), default=PREPARED, show_default=True,
    help="Folder of prepared data: MASE and some slices need the training rows.",
)  # fmt: skip


@dataclass(frozen=True)
class Outputs:
    """The file of the report (None: none), whether JSON is printed, and who gets an alert."""

    page: "OutFile | None"
    as_json: bool
    receivers: "Receivers"


@command("monitor", example="lockgate monitor --window 7d --html monitor.html")
@click.option("--window", help="Length of a window: hours or days, such as 12h or 7d. Default: monitor.window.")
@click.option("--role", type=click.Choice(ROLES), help="Look at forecasts with this role. Default: all answers.")
@click.option("--watch", type=Number(min=1), metavar="SECONDS", help="Repeat until the command is stopped.")
@click.option("--webhook", metavar="URL", help="POST an alert as JSON to this address.")
@click.option("--on-alert", metavar="COMMAND", help="Run this command with an alert as JSON on its standard input.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a report with plots to this file.")
@click.option("--force", is_flag=True, help="Replace the report if it exists.")
@prepared
@as_json
def monitor(
    window: str | None,
    role: str | None,
    watch: float | None,
    webhook: str | None,
    on_alert: str | None,
    html: Path | None,
    force: bool,
    prepared: Path,
    as_json: bool,
    timeout: float,
) -> None:
    """Compare logged forecasts with the truth, and show alerts.

    The command ends with exit code 4 if a rule fires. The rules are under monitor in params.yaml. With --watch, an
    alert is sent when a further rule fires.
    """
    from lockgate.monitoring.live import ANSWERS
    from lockgate.monitoring.windows import length_of
    from lockgate.operations.alert import Receivers
    from lockgate.operations.monitor import Inputs, Order
    from lockgate.system.output_file import OutFile

    found = params()
    order = Order.of(found, length_of(window or found.monitor.window), (role,) if role else ANSWERS, prepared)
    page = OutFile(html, force) if html else None
    if page:
        page.check((".html",))
    outputs, here = Outputs(page, as_json, Receivers.of(webhook, on_alert, timeout)), for_reading(timeout)
    if watch is None:
        _end(_round(here, order, Inputs(here), outputs), outputs)
    else:
        _watch(here, order, outputs, watch)


def _round(here: "Workspace", order: "Order", inputs: "Inputs", outputs: Outputs) -> "Monitored":
    from lockgate.operations import monitor

    found = monitor.monitor(here, order, inputs)
    session().ids["version"] = found.findings.production.version
    if outputs.page:
        from lockgate.reports import monitor_page

        monitor_page.write(found, outputs.page)
    if outputs.as_json:
        print_json(found.as_json())
    else:
        _show(found)
    return found


def _end(found: "Monitored", outputs: Outputs) -> None:
    """Send an alert and raise GateRefused if a rule fires."""
    if firing := [rule.name for rule in found.findings.firing]:
        _send(found, outputs)
        raise GateRefused(
            f"{len(firing)} alert rule{'s' if len(firing) > 1 else ''} fired: {', '.join(firing)}",
            hint=f"{found.advice.command} ({found.advice.why})",
        )


def _watch(here: "Workspace", order: "Order", outputs: Outputs, seconds: float) -> None:
    """Repeat until a signal ends the command."""
    from lockgate.operations.monitor import Inputs

    inputs, before = Inputs(here), frozenset[str]()
    while True:
        try:
            found = _round(here, order, inputs, outputs)
            firing = frozenset(rule.name for rule in found.findings.firing)
            if firing - before:
                _send(found, outputs)
            before = firing
        except LockgateError as error:
            tell(f"this round failed: {error}")
        time.sleep(seconds)


def _send(found: "Monitored", outputs: Outputs) -> None:
    from lockgate.operations import alert

    for failure in alert.send(outputs.receivers, alert.message(found)):
        tell(failure)


def _show(found: "Monitored") -> None:
    from lockgate.monitoring import monitored

    findings = found.findings
    say("\n".join(monitored.heading(found)))
    table(["rule", "state", "measured"], [[rule.name, rule.state.upper(), rule.says] for rule in findings.rules])
    for line in monitored.counts(found):
        say(_wrapped(line))
    for name, scores in (("version", findings.versions), ("slice", findings.slices)):
        table(monitored.score_heads(found, name), [monitored.score_cells(found, each) for each in scores])
    click.echo(f"next: {found.advice.command}")
    say(_wrapped(f"      ({found.advice.why})"))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, WIDTH, subsequent_indent=" " * 6)


@command("replay", example="lockgate replay 8 --days 7")
@click.argument("version", type=VERSION)
@click.option("--days", type=click.IntRange(1, 3650), default=7, show_default=True, help="Take requests of these days.")
@prepared
@as_json
def replay(version: int, days: int, prepared: Path, as_json: bool, timeout: float) -> None:
    """Score logged requests with another version.

    Its forecasts are compared with the answers, by the metric of the problem where the truth is known. Rows that the
    version does not take are counted.
    """
    from lockgate.monitoring import monitored
    from lockgate.operations import replay

    found = params()
    order = replay.Order(found.problem, version, days, datetime.now(UTC), prepared)
    replayed = replay.replay(workspace(timeout), order)
    session().ids["version"] = version
    if as_json:
        interval = replayed.compared.difference.interval() if replayed.compared else None
        more = {"would_be": replayed.would_be, "interval": interval}
        print_json(monitored.plain(replayed) | monitored.plain(more))
    else:
        for line in monitored.replay_lines(replayed, METRICS[found.problem.metric]):
            say(_wrapped(line))
