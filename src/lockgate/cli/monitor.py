"""`monitor`, `replay`: how the forecasts of Production came true, and how another version would have done."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from datetime import UTC, datetime
from enum import Enum
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.common_options import VERSION, as_json, command, params, print_json, session, table, tell, workspace
from lockgate.errors import GateRefused, LockgateError
from lockgate.problem.metrics import METRICS

if TYPE_CHECKING:
    from lockgate.monitoring.replayed import Replay
    from lockgate.monitoring.scores import Score
    from lockgate.operations.alert import Receivers
    from lockgate.operations.monitor import Monitored, Order, Snapshots
    from lockgate.operations.workspace import Workspace
    from lockgate.problem.metrics import Metric

PREPARED = Path("data/prepared")
ROLES = ("served", "canary", "batch", "shadow")
WIDEST = 78  # characters of a line
prepared = click.option(
    "--prepared", type=click.Path(path_type=Path), default=PREPARED, show_default=True,
    help="Folder of prepared data: MASE and some slices need the training rows.",
)  # fmt: skip


@command("monitor", example="lockgate monitor --window 7d --html monitor.html")
@click.option("--window", help="Length of a window: hours or days, such as 12h or 7d. Default: monitor.window.")
@click.option("--role", type=click.Choice(ROLES), help="Look at forecasts with this role. Default: all answers.")
@click.option("--watch", type=click.FloatRange(min=1), metavar="SECONDS", help="Repeat until the command is stopped.")
@click.option("--webhook", metavar="URL", help="POST an alert as JSON to this address.")
@click.option("--on-alert", metavar="COMMAND", help="Run this command with an alert as JSON on its standard input.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a report with plots to this file.")
@click.option("--force", is_flag=True, help="Replace the report if it exists.")
@prepared
@as_json
def monitor(
    window: str | None,
    role: str | None,
    watch: float | None,
    webhook: str | None,
    on_alert: str | None,
    page: Path | None,
    force: bool,
    prepared: Path,
    as_json: bool,
    timeout: float,
) -> None:
    """Compare the logged forecasts with the truth, and tell which alert rules fire.

    The command ends with exit code 4 if a rule fires. The rules are under monitor in params.yaml.
    """
    from lockgate.monitoring.live import ANSWERS
    from lockgate.monitoring.windows import length_of
    from lockgate.operations.alert import Receivers
    from lockgate.operations.monitor import Order, Snapshots
    from lockgate.system.output_file import OutFile

    found = params()
    length = length_of(window or found.monitor.window)
    order = Order.of(found, length, (role,) if role else ANSWERS, prepared)
    target = OutFile(page, force or watch is not None) if page else None
    if target:
        OutFile(target.path, force).check((".html",))
    receivers = Receivers.of(webhook, on_alert, timeout)
    here = workspace(timeout)
    if watch is None:
        monitored = _round(here, order, Snapshots(here), target)
        _show(monitored, as_json)
        _alert(monitored, receivers)
    else:
        _watch(here, order, (target, as_json, receivers), watch)


def _round(here: "Workspace", order: "Order", snapshots: "Snapshots", target: Any) -> "Monitored":
    from lockgate.operations import monitor

    found = monitor.monitor(here, order, snapshots)
    session().ids["version"] = found.findings.production.version
    if target:
        from lockgate.reports import monitor_page

        monitor_page.write(found.model, found.findings, found.windows, target)
    return found


def _watch(here: "Workspace", order: "Order", outputs: tuple[Any, bool, "Receivers"], seconds: float) -> None:
    """Repeat until a signal ends the command. An alert is sent when other rules fire than in the round before."""
    from lockgate.operations.monitor import Snapshots

    target, as_json, receivers = outputs
    snapshots, before = Snapshots(here), frozenset[str]()
    while True:
        try:
            found = _round(here, order, snapshots, target)
            _show(found, as_json)
            firing = frozenset(rule.name for rule in found.findings.firing)
            if firing - before:
                _send(found, receivers)
            before = firing
        except LockgateError as error:
            tell(f"this round failed: {error}")
        time.sleep(seconds)


def _alert(found: "Monitored", receivers: "Receivers") -> None:
    firing = found.findings.firing
    if not firing:
        return
    _send(found, receivers)
    names = ", ".join(rule.name for rule in firing)
    raise GateRefused(f"{len(firing)} alert rule{'s' if len(firing) > 1 else ''} fired: {names}", hint=_next(found))


def _send(found: "Monitored", receivers: "Receivers") -> None:
    from lockgate.operations import alert

    for failure in alert.send(receivers, alert.message(found)):
        tell(failure)


def _next(found: "Monitored") -> str:
    return f"{found.advice.why}: {found.advice.command}"


def _show(found: "Monitored", as_json: bool) -> None:
    if as_json:
        print_json(plain(found))
        return
    metric = METRICS[_metric_name()]
    for line in _heading(found):
        click.echo(line)
    table(["rule", "state", "measured"], [[rule.name, rule.state.upper(), rule.says] for rule in found.findings.rules])
    click.echo("\n".join(_counts(found)))
    for scores, head in ((found.findings.versions, "version"), (found.findings.slices, "slice")):
        table([head, "rows", "waiting", metric.label, "in bounds"], [_cells(each, metric) for each in scores])
    for remark in found.remarks:
        tell(remark)
    click.echo(f"next: {found.advice.command}\n      ({found.advice.why})")


def _metric_name() -> str:
    return params().problem.metric


def _heading(found: "Monitored") -> Iterator[str]:
    windows, production = found.windows, found.findings.production
    since = f" since {production.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if production.since else ""
    yield f"{found.model}: version {production.version} in Production{since}"
    hours = int(windows.length.total_seconds() // 3600)
    length = f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"
    yield f"{windows.count} windows of {length}, until {windows.now:%Y-%m-%d %H:%M} UTC"
    problem = params().problem
    if windows.newest is not None:
        yield f"the newest truth is of {problem.period.text(windows.newest)}: scores are of the windows until then"


def _counts(found: "Monitored") -> Iterator[str]:
    volume, total, metric = found.findings.volume, found.findings.total, METRICS[_metric_name()]
    roles = ", ".join(f"{count} {role}" for role, count in volume.by_role)
    yield f"asked: {volume.asked} rows in {volume.requests} requests" + (f" ({roles})" if roles else "")
    yield f"truth: {volume.scored} rows scored, {volume.waiting} waiting"
    if total.rows:
        others = ", ".join(f"{name} {value:.5g}" for name, value in total.others.items())
        yield f"{metric.label} {metric.shown(total.score)}" + (f"; {others}" if others else "")
    if total.bounded:
        yield f"within bounds: {total.covered:.1%} of {total.bounded} rows, stated {total.stated:.1%}"
    yield from _remarks(found)


def _remarks(found: "Monitored") -> Iterator[str]:
    volume, findings = found.findings.volume, found.findings
    lines = {
        "rows are earlier forecasts of the same key and period: the last one in time counts": volume.repeated,
        "rows were forecast after their truth was known: they are not scored": volume.too_late,
        "scored or waiting rows were forecast after their period began": volume.in_period,
        "rows came from the fallback, because the registry was unavailable": volume.degraded,
        "rows lie after the periods that the gate judged: train on newer data with dvc repro": volume.beyond_horizon,
        "rows are of keys with little history": volume.little_history or 0,
    }
    for words, count in lines.items():
        if count:
            yield f"{count} {words}"
    if findings.left_out:
        yield f"no drift of {', '.join(findings.left_out)}: times change by nature"


def _cells(score: "Score", metric: "Metric") -> list[str]:
    name = score.value if score.by == "version" else f"{score.by} {score.value}"
    shown = metric.shown(score.score) if isfinite(score.score) else "-"
    return [name, str(score.rows), str(score.waiting), shown, f"{score.covered:.1%}" if score.bounded else "-"]


@command("replay", example="lockgate replay 8 --days 7")
@click.argument("version", type=VERSION)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=7, show_default=True, help="Score requests of these days."
)
@prepared
@as_json
def replay(version: int, days: int, prepared: Path, as_json: bool, timeout: float) -> None:
    """Score logged requests with another version, and compare it with what was answered.

    The question is whether the version would have been better. Rows that it does not take are counted.
    """
    from lockgate.operations import replay

    found = params()
    order = replay.Order(found.problem, version, days, datetime.now(UTC), prepared)
    replayed = replay.replay(workspace(timeout), order)
    session().ids["version"] = version
    if as_json:
        interval = replayed.compared.difference.interval() if replayed.compared else None
        print_json(plain(replayed) | {"would_be": replayed.would_be, "interval": plain(interval)})
    else:
        click.echo("\n".join(_replay_lines(replayed, METRICS[found.problem.metric])))


def _replay_lines(found: "Replay", metric: "Metric") -> Iterator[str]:
    yield f"version {found.version} on {found.rows - found.refused} of {found.rows} logged rows"
    if found.refused:
        yield f"{found.refused} rows are refused by version {found.version}: they are not compared"
    if isfinite(found.changed):
        yield f"mean difference to what was answered: {found.changed:.5g}"
    if found.compared is None:
        yield "no truth of these rows is known; load it with: lockgate truth load FILE"
        return
    test = found.compared
    low, high = test.difference.interval()
    yield (
        f"{metric.label} {metric.shown(test.candidate_score)}, answered {metric.shown(test.reference_score)},"
        f" on {test.rows} rows with a truth; {found.waiting} rows wait for theirs"
    )
    shown = [metric.shown_change(value) for value in (test.difference.value, low, high)]
    yield f"worse by {shown[0]} (95 %: {shown[1]} to {shown[2]})"
    yield VERDICTS[found.would_be].format(found.version)
    if found.may_have_learned:
        yield (
            f"{found.may_have_learned} truths were known when version {found.version} was registered:"
            " it may have learned from them"
        )


VERDICTS = {
    "better": "version {} would have been better",
    "worse": "version {} would have been worse",
    "undecided": "the rows do not decide which is better",
    "unknown": "the rows have no score",
}


def plain(value: Any) -> Any:
    """A value for JSON: dataclasses as mappings, and null for a number that is not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(each) for name, each in vars(value).items()}
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return str(value) if isinstance(value, Enum) else value
