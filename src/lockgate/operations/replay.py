"""Replay: a version scores the logged requests again, in a child process, and is compared with what was answered."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from lockgate.errors import BundleUnreadable, StateConflict
from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import Failure, Request
from lockgate.evaluation.slices import Background
from lockgate.monitoring.counted import counted
from lockgate.monitoring.live import ANSWERS, Bools, Live
from lockgate.monitoring.replayed import Again, Replay, aligned, batches, replayed
from lockgate.monitoring.windows import Windows
from lockgate.operations import load_version, logged_rows
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem


@dataclass(frozen=True)
class Order:
    """The version, the days of requests to score again, and the folder of `prepare` (for MASE)."""

    problem: Problem
    version: int
    days: int
    now: datetime
    prepared: Path


def replay(workspace: Workspace, order: Order) -> Replay:
    """Score the answered requests of the last days with a version.

    Raises StateConflict if there is no such version, or if no request is in the log.
    """
    workspace.state().find(order.version)
    windows = Windows(timedelta(days=1), order.days, order.now)
    live, one_in = logged_rows.asked(workspace, order.problem, windows, ANSWERS)
    if not len(live):
        raise StateConflict(
            f"no request of {workspace.model} is in the log of the last {order.days} days",
            hint="look further back with: --days; see what is there with: lockgate log last",
        )
    background, _ = logged_rows.background(order.problem, order.prepared)
    return replace(score_again(workspace, order.version, live, background), one_in=one_in)


def score_again(workspace: Workspace, version: int, live: Live, background: Background) -> Replay:
    """Score logged rows with a version, whose files are verified, in a child process.

    Rows of a state are scored with the other rows of their request and key. Raises IntegrityBroken for files that are
    not the registered ones, BundleUnreadable if the child ends without forecasts.
    """
    record = load_version.recorded(workspace, version)
    names = [column.name for column in live.problem.request]
    with load_version.fetched(workspace, record) as fetched:
        request = Request(str(fetched.bundle), fetched.digest)
        found = sandboxed.replay(request, live.rows[names], batches(live).tolist())
    if isinstance(found, Failure):
        raise BundleUnreadable(f"version {version} cannot score the log: {found.reason}")
    forecast = aligned(found.forecast, found.classes, live.classes)
    again = Again(version, record.version.registered_at, forecast, found.covered)
    return replayed(again, live, _counts(live), background)


def _counts(live: Live) -> Bools:
    """The rows whose forecasts count; the others are forecast too, because a state needs the rows of its key."""
    place = live.about.assign(place=np.arange(len(live)))
    chosen = counted(Live(live.problem, live.rows, place, live.forecast, live.classes)).live
    return np.isin(np.arange(len(live)), chosen.about["place"].to_numpy())
