"""The logged rows of a model with their truth, as `monitoring` takes them, and the tables that scores need beside."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lockgate.data import dataset
from lockgate.data.rows_by_part import RowsByPart
from lockgate.database import monitored
from lockgate.database.monitored import COLUMNS, Asked, NamedBy
from lockgate.errors import LockgateError
from lockgate.evaluation.slices import Background
from lockgate.monitoring.live import Live, live_of
from lockgate.monitoring.windows import Windows
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem

HORIZONS_AHEAD = 3  # of a panel: a period is forecast at most two horizons, and a training, before it begins
NUMBERS = ("period", "horizon", "prediction", "lower", "upper", "confidence", "truth_value")


@dataclass(frozen=True)
class Read:
    """The rows, the windows that end with their newest truth, and a remark on a sample ("" if all were read)."""

    live: Live
    windows: Windows
    remark: str


def read(workspace: Workspace, problem: Problem, windows: Windows, roles: tuple[str, ...]) -> Read:
    """The rows that were asked in the windows, and those of a panel whose periods are in the windows of the truth."""
    since = windows.now - windows.count * windows.length
    asked = Asked(workspace.model, since, roles, _named_by(problem))
    if problem.kind == "panel":
        asked = replace(asked, **_of_periods(workspace, problem, windows))
    found = monitored.read(workspace.database, asked)
    live = live_of(problem, _frame(found.rows))
    remark = f"the log has too many rows: those of one key in {found.one_in} were read" if found.one_in > 1 else ""
    return Read(live, replace(windows, newest=_newest(live)), remark)


def asked(workspace: Workspace, problem: Problem, windows: Windows, roles: tuple[str, ...]) -> tuple[Live, int]:
    """The rows that were asked in the windows, and N if they are those of about one key in N; 1 for all."""
    since = windows.now - windows.count * windows.length
    found = monitored.read(workspace.database, Asked(workspace.model, since, roles, _named_by(problem)))
    return live_of(problem, _frame(found.rows)), found.one_in


def background(problem: Problem, prepared: Path) -> tuple[Background, str]:
    """The training rows and static features in the folder of `prepare`, for slices and MASE, and a remark without them.

    The cutoff is that of these rows.
    """
    try:
        rows, static = dataset.by_part(prepared, "rows"), dataset.read(prepared, "static")
        return Background(static, rows, _last(problem, rows)), ""
    except LockgateError as error:
        return Background(), f"scores without training rows, some slices are left out: {error}"


def _last(problem: Problem, rows: RowsByPart) -> int | None:
    """The last period of a panel; None for another problem. Every part is read, so a damaged one is found here."""
    ends = [_last_of(problem, part) if problem.kind == "panel" else 0 for part in rows]
    return max(ends) if problem.kind == "panel" else None


def _last_of(problem: Problem, rows: pd.DataFrame) -> int:
    return int(problem.period.number(rows[problem.time_name].to_numpy()).max())


def _named_by(problem: Problem) -> NamedBy:
    """How a truth names a row of the log."""
    if problem.time:
        return "period"
    return "segment" if problem.keys else "request"


def _of_periods(workspace: Workspace, problem: Problem, windows: Windows) -> dict[str, Any]:
    """The first period of the windows of the truth, and the time since which it may have been forecast."""
    newest = monitored.newest_period(workspace.database, workspace.model)
    if newest is None:
        return {}
    after = newest - windows.count * windows.periods(problem)
    if problem.period.is_integer:
        return {"after_period": after}
    first = max(after - HORIZONS_AHEAD * (problem.horizon or 1), 0)
    start: datetime = problem.period.start(np.array([first]))[0].item()
    return {"after_period": after, "earliest": start.replace(tzinfo=UTC) - timedelta(days=1)}


def _newest(live: Live) -> int | None:
    """The newest period with a truth, of a panel."""
    if live.problem.kind != "panel" or not live.known.any():
        return None
    return int(live.about.loc[live.known, "period"].max())


def _frame(rows: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = {name: pd.to_numeric(frame[name], errors="coerce").astype("float64") for name in NUMBERS}
    times = {name: pd.to_datetime(frame[name], utc=True) for name in ("at", "truth_at")}
    return frame.assign(**numbers, **times)
