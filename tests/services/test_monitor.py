"""The monitor on a real log: every kind of problem, late truth, the version that is blamed, replay, rollback."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import any_problem
import pandas as pd
import pytest
from sqlalchemy import text

from lockgate.bundle import store
from lockgate.data import dataset
from lockgate.database import predictions
from lockgate.forecaster.answers import answers
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.gate.verdict import policy_digest
from lockgate.monitoring.live import ANSWERS
from lockgate.monitoring.monitored import Monitored
from lockgate.monitoring.rules import State
from lockgate.operations import monitor, promote, register, replay, validate
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.monitor import Order, Snapshots
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.prediction_log.record import LoggedRequest, Role, Scorer
from lockgate.prediction_log.rows import logged_rows
from lockgate.problem.params import Params

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
DAY = timedelta(days=1)
TRUTH = """
    INSERT INTO lockgate.truth (model, segment, period, request_id, "row", value, class, source, actor)
    SELECT model, segment, period, CASE WHEN :by_request THEN request_id END, CASE WHEN :by_request THEN "row" END,
           :value, :class, 'test', 'anna'
    FROM lockgate.predictions WHERE model = :model AND request_id = CAST(:request_id AS uuid) AND "row" = :row
"""


class Live:
    """A model in Production, and what is asked of it."""

    def __init__(self, workspace: Workspace, made: Build, params: Params) -> None:
        self.workspace, self.made, self.params = workspace, made, params
        self.forecaster: ForecasterProtocol = store.load(made.bundle, store.manifest.digest(made.bundle))
        holdout = dataset.read(made.prepared, "holdout")
        self.rows, self.target = holdout.drop(columns=params.problem.target), holdout[params.problem.target]

    def ask(self, rows: pd.DataFrame, ago: timedelta, version: int = 1, error: float = 0.0, role: Role = Role.SERVED):
        """Log a request of some rows, answered with an error; its id."""
        found = answers(self.forecaster, rows, 0.95)
        for name in ("prediction", "lower", "upper"):
            if name in found and self.params.problem.task == "regression":
                found[name] = found[name] + error
        scorer = Scorer(self.workspace.model, version, "ab" * 32, "Production", role)
        logged = logged_rows(self.params.problem, self.forecaster, rows, found)
        request = LoggedRequest(str(uuid4()), None, datetime.now(UTC) - ago, scorer, 0.95, 1.0, logged)
        predictions.insert(self.workspace.database, [request])
        return request

    def come_true(self, request: LoggedRequest, values: "list[object]") -> None:
        """Load the truth of each row of a request."""
        problem = self.params.problem
        name = "value" if problem.task == "regression" else "class"
        with self.workspace.database.transaction() as connection:
            for row, value in enumerate(values):
                given = {"value": None, "class": None, name: float(value) if name == "value" else str(value)}
                connection.execute(
                    text(TRUTH),
                    given
                    | {"model": self.workspace.model, "request_id": request.request_id, "row": row}
                    | {"by_request": problem.kind == "table" and not problem.keys},
                )

    def monitored(self, roles: tuple[str, ...] = ANSWERS, days: int = 1, **changes: object) -> Monitored:
        params = self.params.model_copy(update={"monitor": self.params.monitor.model_copy(update=changes)})
        order = Order.of(params, days * DAY, roles, self.made.prepared)
        return monitor.monitor(self.workspace, order, Snapshots(self.workspace))

    def replayed(self, version: int) -> "replay.Replay":
        order = replay.Order(self.params.problem, version, 7, datetime.now(UTC), self.made.prepared)
        return replay.replay(self.workspace, order)


@pytest.fixture
def live(backend: Workspace, tmp_path: Path) -> Callable[[str], Live]:
    """A problem of some kind with version 1 in Production."""

    def of_kind(kind: str) -> Live:
        made, params = any_problem.built(kind, tmp_path)
        receipt = register.register(backend, made, params)
        validate.validate(backend, receipt, made, params.policy, params.problem)
        promote.promote(backend, YES, None, policy_digest(params.policy), None)
        return Live(backend, made, params)

    return of_kind


def states(found: Monitored) -> dict[str, State]:
    return {rule.name: rule.state for rule in found.findings.rules}


@pytest.mark.parametrize("kind", any_problem.KINDS)
def test_forecasts_of_every_kind_wait_for_their_truth_and_then_have_the_score_of_the_holdout(
    kind: str, live: Callable[[str], Live]
) -> None:
    given = live(kind)
    request = given.ask(given.rows, timedelta(hours=1))
    waiting = given.monitored(min_rows=5)
    assert states(waiting)["metric"] in (State.WAITING, State.UNKNOWN)
    assert (waiting.findings.volume.asked, waiting.findings.volume.waiting) == (len(given.rows), len(given.rows))
    assert waiting.advice.command == "lockgate truth load FILE"
    given.come_true(request, given.target.tolist())
    found = given.monitored(min_rows=5, days=7 if given.params.problem.kind != "panel" else 200)
    verdict = validate.verdicts.latest_verdict(given.workspace.database, given.workspace.model, 1)
    assert found.findings.total.score == pytest.approx(verdict.metrics[given.params.problem.metric])
    assert (found.findings.volume.scored, found.findings.volume.waiting) == (len(given.rows), 0)
    assert found.findings.no_drift == ""
    assert {column.name for column in found.findings.drifts[0].columns} >= {"prediction"}
    assert found.findings.versions[0].rows == len(given.rows)


def test_the_rows_of_a_state_are_replayed_with_their_key_and_give_the_forecasts_that_were_logged(
    live: Callable[[str], Live],
) -> None:
    given = live("state")
    first = given.rows[given.rows["unit"] == given.rows["unit"].iloc[0]]
    for count in (40, 60):
        given.ask(first.head(count), timedelta(hours=100 - count))
    found = given.replayed(1)
    assert (found.rows, found.refused, found.changed) == (60, 0, 0.0)


@pytest.mark.parametrize("kind", ["table of regression", "table of multiclass", "panel"])
def test_a_version_that_is_replayed_on_its_own_requests_gives_the_same_forecasts(
    kind: str, live: Callable[[str], Live]
) -> None:
    given = live(kind)
    given.ask(given.rows, timedelta(hours=1))
    found = given.replayed(1)
    assert (found.rows, found.refused, found.changed) == (len(given.rows), 0, 0.0)
    assert found.would_be == "unknown"
