"""The result of one round of the monitor, in words, as tables of words, and as JSON. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from math import isfinite
from typing import Any

from lockgate.monitoring.advice import Advice
from lockgate.monitoring.findings import Findings
from lockgate.monitoring.replayed import Replay
from lockgate.monitoring.scores import Score
from lockgate.monitoring.windows import Windows
from lockgate.problem.description import Problem
from lockgate.problem.metrics import METRICS, Metric

WOULD_BE = {
    "better": "version {} would have been better",
    "worse": "version {} would have been worse",
    "undecided": "the rows do not decide whether version {} would have been better",
    "unknown": "no row that version {} takes has a truth",
}


@dataclass(frozen=True)
class Monitored:
    """What a round found. `earlier` is the replay of the version to which a rollback would go; None without one."""

    model: str
    problem: Problem
    windows: Windows
    findings: Findings
    earlier: Replay | None
    advice: Advice
    remarks: tuple[str, ...]

    @property
    def metric(self) -> Metric:
        """The metric of the problem."""
        return METRICS[self.problem.metric]

    def as_json(self) -> dict[str, Any]:
        """All fields but the problem, as JSON has them."""
        found = {name: plain(each) for name, each in vars(self).items() if name != "problem"}
        return found | {"metric": self.problem.metric, "firing": [rule.name for rule in self.findings.firing]}


def heading(found: Monitored) -> Iterator[str]:
    """The version, the windows, and the newest truth."""
    windows, production = found.windows, found.findings.production
    since = f" since {_minute(production.since)}" if production.since else ""
    yield f"{found.model}: version {production.version} in Production{since}"
    yield f"{windows.count} windows of {length(windows)}, until {_minute(windows.now)}"
    if windows.newest is not None:
        yield f"the newest truth is of {found.problem.period.text(windows.newest)}; windows of the truth end there"


def length(windows: Windows) -> str:
    """The length of a window."""
    hours = int(windows.length.total_seconds() // 3600)
    number, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def counts(found: Monitored) -> Iterator[str]:
    """The rows that were asked, scored and not scored, the score over all windows, and the coverage."""
    volume, total, metric = found.findings.volume, found.findings.total, found.metric
    roles = ", ".join(f"{count} {role}" for role, count in volume.by_role)
    yield f"asked: {volume.asked} rows in {volume.requests} requests" + (f" ({roles})" if roles else "")
    yield f"truth: {volume.scored} rows scored, {volume.waiting} waiting"
    if total.rows:
        others = ", ".join(f"{_label(name)} {value:.5g}" for name, value in total.others.items())
        yield f"{metric.label} {shown(metric, total.score)}" + (f" ({others})" if others else "")
    if total.bounded:
        yield f"within bounds: {total.covered:.1%} of {total.bounded} rows, stated {total.stated:.1%}"
    yield from _remarks(found)


def _remarks(found: Monitored) -> Iterator[str]:
    volume = found.findings.volume
    lines = {
        "rows are earlier forecasts of the same key and period: the last one made in time counts": volume.repeated,
        "rows were forecast after their truth was known: they are not scored": volume.too_late,
        "rows were forecast after their period began: they are scored": volume.in_period,
        "rows came from the fallback, because the registry was unavailable": volume.degraded,
        "rows lie after the periods that the gate judged: train on newer data with dvc repro": volume.beyond_horizon,
        "rows are of keys with little history": volume.little_history or 0,
    }
    yield from (f"{count} {words}" for words, count in lines.items() if count)
    if found.findings.left_out:
        yield f"no drift is computed of {', '.join(found.findings.left_out)}: times change by nature"
    if found.findings.no_features:
        yield f"the features that the version computes are not compared: {found.findings.no_features}"
    yield from found.remarks


def score_heads(found: Monitored, first: str) -> tuple[str, ...]:
    """The heads of a table of scores."""
    bounds = ("in bounds",) if found.problem.task == "regression" else ()
    return (first, "rows", "waiting", found.metric.label, *bounds)


def score_cells(found: Monitored, score: Score) -> tuple[str, ...]:
    """A row of a table of scores."""
    name = f"{score.by} {score.value}" if score.by not in ("version", "period", "window") else score.value
    covered = (f"{score.covered:.1%}" if score.bounded else "-",) if found.problem.task == "regression" else ()
    return (name, str(score.rows), str(score.waiting), shown(found.metric, score.score), *covered)


def shown(metric: Metric, value: float) -> str:
    """A score, a dash without one."""
    return metric.shown(value) if isfinite(value) else "-"


def replay_lines(found: Replay, metric: Metric) -> Iterator[str]:
    """A replay in sentences."""
    yield f"version {found.version} on {found.rows - found.refused} of {found.rows} logged rows"
    if found.one_in > 1:
        yield f"the log has too many rows: those of one key in {found.one_in} were read"
    if found.refused:
        yield f"{found.refused} rows are refused by version {found.version}: they are not compared"
    if isfinite(found.changed):
        yield f"mean difference to what was answered: {found.changed:.5g}"
    if found.compared is None:
        yield "no truth of these rows is known; load it with: lockgate truth load FILE"
        return
    test = found.compared
    yield (
        f"{metric.label} {shown(metric, test.candidate_score)}, answered {shown(metric, test.reference_score)},"
        f" on {test.rows} rows with a truth; {found.waiting} rows wait for theirs"
    )
    low, high = test.difference.interval()
    change = [metric.shown_change(value) for value in (test.difference.value, low, high)]
    yield f"worse by {change[0]} (95 %: {change[1]} to {change[2]})"
    yield WOULD_BE[found.would_be].format(found.version)
    if found.may_have_learned:
        yield (
            f"the truth of {found.may_have_learned} rows was known when version {found.version} was registered: it may"
            " have learned from them"
        )


def plain(value: Any) -> Any:
    """A value for JSON: dataclasses as mappings, and null for a number that is not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(each) for name, each in vars(value).items()}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return str(value) if isinstance(value, Enum) else value


def _label(name: str) -> str:
    return METRICS[name].label if name in METRICS else name


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
