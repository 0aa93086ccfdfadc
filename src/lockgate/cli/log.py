"""`log`: the predictions on record. Shows the last ones, moves them from the spool to Postgres, deletes old ones."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.common_options import (
    as_json,
    command,
    confirm,
    dry_run,
    for_reading,
    group,
    params,
    print_json,
    table,
    workspace,
    yes,
)
from lockgate.errors import WrongUsage
from lockgate.problem.description import Problem
from lockgate.reports.texts import number, when

if TYPE_CHECKING:
    from lockgate.database.prediction_months import Month
    from lockgate.database.predictions import StoredRow

group("log", "Show the predictions on record, or delete old ones.")


@command("log last", example="lockgate log last --segment shop=7 --limit 20")
@click.option(
    "--segment", "given", multiple=True, metavar="KEY=VALUE",
    help="Only predictions with this value of a key column. Repeat the option for further keys.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="How many rows.")
@as_json
def last(given: tuple[str, ...], limit: int, as_json: bool, timeout: float) -> None:
    """Show the last predictions of the model, the newest first."""
    from lockgate.database import predictions
    from lockgate.prediction_log import segments

    problem, here = params().problem, for_reading(timeout)
    segment = segments.segment_of(problem, dict(map(_pair, given)))
    found = predictions.last(here.database, here.model, segment, problem.keys, limit)
    if as_json:
        print_json([_as_json(row) for row in found])
    elif found:
        table(_heads(problem), [_cells(problem, row) for row in found], paged=True, whole=["request"])
    else:
        click.echo("no predictions on record")


@command("log drain", example="lockgate log drain")
@as_json
def drain(as_json: bool, timeout: float) -> None:
    """Move predictions from the spool of this machine to Postgres.

    A running lockgate serve does this by itself.
    """
    from lockgate.operations import drain_log, leftover_predictions
    from lockgate.prediction_log import spool

    folders, database = spool.folders(spool.folder(Path.cwd())), workspace(timeout).log_database()
    leftover_predictions.refuse_foreign(folders, database)
    done = drain_log.drain_all(folders, database)
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(f"{done.rows} predictions moved to Postgres" if done.records else "the spool is empty")


@command("log retain", example="lockgate log retain --older-than 90d --dry-run")
@click.option("--older-than", required=True, metavar="AGE", help="Predictions younger than this stay: 90d, 12w, 36h.")
@yes
@dry_run
@as_json
def retain(older_than: str, yes: bool, dry_run: bool, as_json: bool, timeout: float) -> None:
    """Delete old predictions of all models in this database.

    Whole months (UTC) are dropped at once. Truth stays.
    """
    from lockgate.lifecycle import retention
    from lockgate.operations import retain_log

    database = workspace(timeout).database
    moment, months = retain_log.plan(database, retention.span(older_than))
    if not as_json:
        _show(moment, months)
    if months and not dry_run:
        confirm(f"Delete {_total(months)} predictions?", yes)
        retain_log.retain(database, moment, months)
    if as_json:
        print_json({"before": moment, "months": [asdict(month) for month in months], "deleted": not dry_run})


def _show(moment: datetime, months: "Sequence[Month]") -> None:
    click.echo(f"predictions from before {when(moment)} (UTC): {_total(months)}")
    rows = [
        [f"{month.first_day:%Y-%m}", _counted(month.predictions), "whole month" if month.whole else "a part"]
        for month in months
    ]
    table(["month", "predictions", "what goes"], rows)


def _total(months: "Sequence[Month]") -> str:
    """The number of predictions in words; large months are not counted to their end."""
    total = sum(month.predictions for month in months)
    return f"{total:,} or more" if any("more" in _counted(month.predictions) for month in months) else f"{total:,}"


def _counted(count: int) -> str:
    from lockgate.database.prediction_months import MOST_COUNTED

    return f"{count:,} or more" if count == MOST_COUNTED else f"{count:,}"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise WrongUsage(f"--segment is {text!r}", hint="write it as KEY=VALUE")
    return name, value


def _heads(problem: Problem) -> list[str]:
    period = [problem.time_name] if problem.time else []
    answer = ["prediction"] if problem.task != "multiclass" else []
    more = ["lower", "upper"] if problem.task == "regression" else ["class"]
    named = [] if problem.keys else ["request", "row"]
    return ["when (UTC)", *named, *problem.keys, *period, *answer, *more, "version", "role"]


def _cells(problem: Problem, row: "StoredRow") -> list[str]:
    logged = row.logged
    period = [problem.period.text(logged.period)] if problem.time and logged.period is not None else []
    answer = [number(logged.prediction)] if problem.task != "multiclass" else []
    bounds = [number(logged.lower), number(logged.upper)]
    more = bounds if problem.task == "regression" else [str(logged.chosen_class)]
    named = [] if problem.keys else [row.request_id, str(row.row)]
    keys = [str(logged.segment.get(name, "")) for name in problem.keys]
    role = f"{row.scorer.role}, degraded" if row.scorer.degraded else str(row.scorer.role)
    return [when(row.at), *named, *keys, *period, *answer, *more, str(row.scorer.version), role]


def _as_json(row: "StoredRow") -> dict[str, Any]:
    """The row under the names of table lockgate.predictions."""
    logged = row.logged._asdict()
    logged["class"] = logged.pop("chosen_class")
    own = {name: value for name, value in vars(row).items() if name not in ("scorer", "logged")}
    return own | vars(row.scorer) | logged
