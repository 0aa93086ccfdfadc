"""The monitor on a real log: every kind of problem, late truth, the version that is blamed, replay, rollback."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from uuid import uuid4

import any_problem
import pandas as pd
import pytest
import signals
import yaml

from lockgate.bundle import store
from lockgate.data import dataset
from lockgate.database import ledger, predictions
from lockgate.database import monitored as monitored_rows
from lockgate.errors import StateConflict
from lockgate.forecaster.answers import answers
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.moves import Move
from lockgate.monitoring.live import ANSWERS
from lockgate.monitoring.monitored import Monitored
from lockgate.monitoring.rules import State
from lockgate.operations import alerted_rollback, load_truth, logged_rows, monitor, promote, register, replay, validate
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.monitor import Inputs, Order
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.pages import monitoring_page
from lockgate.pages.child import Turn
from lockgate.pages.monitoring_page import Rounds
from lockgate.prediction_log import rows as log_rows
from lockgate.prediction_log.record import LoggedRequest, Role, Scorer
from lockgate.problem.params import Params
from lockgate.reports import monitor_page

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
DAY = timedelta(days=1)


def members_of(kind: str) -> tuple[str, ...]:
    """Few members, so that a training is short; a panel has all of its own."""
    return () if kind == "panel" else ("lightgbm", "linear")


class Live:
    """A model in Production, and what is asked of it."""

    def __init__(self, workspace: Workspace, kind: str, folder: Path) -> None:
        self.workspace, self.kind, self.folder = workspace, kind, folder
        made, params = any_problem.built(kind, folder / "1", members=members_of(kind))
        name = workspace.model.removesuffix("-ensemble")
        params = params.model_copy(update={"problem": params.problem.model_copy(update={"name": name})})
        self.made, self.params = made, params
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
        logged = log_rows.logged_rows(self.params.problem, self.forecaster, rows, found)
        request = LoggedRequest(str(uuid4()), None, datetime.now(UTC) - ago, scorer, 0.95, 1.0, logged)
        predictions.insert(self.workspace.database, [request])
        return request

    def come_true(self, request: LoggedRequest, values: "list[object]") -> None:
        """Load the truth of each row of a request, as `lockgate truth load` does."""
        problem, rows = self.params.problem, self.rows.head(len(values))
        named = {name: rows[name] for name in (*problem.keys, problem.time_name) if name}
        if not named:
            named = {"request_id": [request.request_id] * len(values), "row": range(len(values))}
        path = self.folder / "truth.parquet"
        pd.DataFrame(named).assign(**{problem.target: values}).to_parquet(path)
        loaded = load_truth.load(self.workspace, problem, path)
        assert (loaded.rows + loaded.left_out, loaded.unknown.count) == (len(values), 0)

    def promote(self, version: int) -> None:
        """Bring a version with a build of its own to Production."""
        made = self.made
        if version > 1:
            made, _ = any_problem.built(self.kind, self.folder / str(version), version, members_of(self.kind))
        receipt = register.register(self.workspace, made, self.params)
        assert receipt.version == version
        validate.validate(self.workspace, receipt, made, self.params.policy, self.params.problem)
        promote.promote(self.workspace, YES, None, policy_digest(self.params.policy), None)

    def order(self, **changes: object) -> Order:
        """What `lockgate monitor` asks for; `changes` are of the rules."""
        params = self.params.model_copy(update={"monitor": self.params.monitor.model_copy(update=changes)})
        return Order.of(params, DAY, ANSWERS, self.made.prepared)

    def five_days(self, version: int, error: float) -> None:
        """The same rows asked on five days, answered by a version with an error, and what came true."""
        for day in range(5):
            request = self.ask(self.rows, day * DAY + timedelta(hours=1), version, error)
            self.come_true(request, self.target.tolist())

    def monitored(self, roles: tuple[str, ...] = ANSWERS, days: int = 1, **changes: object) -> Monitored:
        params = self.params.model_copy(update={"monitor": self.params.monitor.model_copy(update=changes)})
        order = Order.of(params, days * DAY, roles, self.made.prepared)
        return monitor.monitor(self.workspace, order, Inputs(self.workspace))

    def replayed(self, version: int) -> "replay.Replay":
        order = replay.Order(self.params.problem, version, 7, datetime.now(UTC), self.made.prepared)
        return replay.replay(self.workspace, order)


@pytest.fixture
def live(backend: Workspace, tmp_path: Path) -> Callable[[str], Live]:
    """A problem of some kind with version 1 in Production."""

    def of_kind(kind: str) -> Live:
        given = Live(backend, kind, tmp_path)
        given.promote(1)
        return given

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
    assert found.findings.no_features == ""
    newest = found.findings.features[0]
    assert all(column.origin and column.rows for column in newest.columns)
    assert "feature drift" in states(found)
    page = monitor_page.html(found)
    assert all(
        f"<td>{column.name}</td>" in page or column.name.replace("&", "&amp;") in page for column in newest.columns
    )
    printed = found.as_json()["findings"]["features"][0]["columns"]
    assert [(each["name"], each["origin"]) for each in printed] == [(each.name, each.origin) for each in newest.columns]
    assert found.findings.versions[0].rows == len(given.rows)


def test_prepared_rows_are_read_again_only_when_their_files_change(
    backend: Workspace, build: Callable[[int], Build], params: Params
) -> None:
    prepared, inputs = build(1).prepared, Inputs(backend)
    first, remark = inputs.background(params.problem, prepared)
    assert (inputs.background(params.problem, prepared)[0] is first, remark) == (True, "")
    (prepared / "rows.parquet").touch()
    assert inputs.background(params.problem, prepared)[0] is not first
    shutil.rmtree(prepared)
    assert "scores without training rows" in inputs.background(params.problem, prepared)[1]


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


def reasons(workspace: Workspace) -> list[tuple[int, str, str]]:
    """The moves to Production: version, command, reason."""
    rows = ledger.read(workspace.database, workspace.model)
    return [(row.version, row.command, row.reason) for row in rows if row.to_stage == "Production"]


def test_an_alert_that_blames_the_version_rolls_back_to_one_that_would_have_been_better(
    live: Callable[[str], Live],
) -> None:
    given = live("table of regression")
    given.promote(2)
    given.five_days(2, error=5.0)
    order = given.order()
    found = monitor.monitor(given.workspace, replace(order, limit=1.0), Inputs(given.workspace))
    assert states(found)["metric"] is State.FIRING
    assert found.earlier.would_be == "better"
    assert found.advice.command == 'lockgate rollback --reason "alert: metric, coverage"'
    unmoved = alerted_rollback.rollback_if_alert(given.workspace, replace(YES, reason="", dry_run=True), order)
    assert (unmoved.done.move.version, given.workspace.state().serving().version) == (1, 2)
    order = replace(order, limit=1.0)
    done = alerted_rollback.rollback_if_alert(given.workspace, replace(YES, reason="scheduled"), order)
    assert done.done.move.version == 1
    version, command, reason = reasons(given.workspace)[-1]
    assert (version, command) == (1, "rollback")
    assert reason.startswith("scheduled; alert: metric: MAE by window")
    again = alerted_rollback.rollback_if_alert(given.workspace, replace(YES, reason=""), order)
    assert again.done is None
    assert given.workspace.state().serving().version == 1


@pytest.mark.long
def test_without_an_alert_that_blames_the_version_nothing_is_rolled_back(live: Callable[[str], Live]) -> None:
    given = live("table of regression")
    given.promote(2)
    given.five_days(2, error=0.0)
    drifted = given.order(drift=given.params.monitor.drift.model_copy(update={"index": 1e-9, "significance": 0.999}))
    for order in (given.order(), drifted):
        done = alerted_rollback.rollback_if_alert(given.workspace, YES, order)
        assert done.done is None
        assert given.workspace.state().serving().version == 2


@pytest.mark.long
def test_an_alert_of_another_version_rolls_nothing_back(live: Callable[[str], Live]) -> None:
    """The version in Production changes while a person is asked."""
    given = live("table of regression")
    given.promote(2)
    given.five_days(2, error=5.0)
    order = replace(given.order(), limit=1.0)

    def promote_another(move: Move) -> None:
        given.promote(3)

    with pytest.raises(StateConflict):
        alerted_rollback.rollback_if_alert(given.workspace, replace(YES, confirm=promote_another), order)
    assert given.workspace.state().serving().version == 3


def test_an_earlier_version_that_would_not_have_been_better_is_no_way_back(live: Callable[[str], Live]) -> None:
    given = live("table of regression")
    given.promote(2)
    for day in range(5):
        request = given.ask(given.rows, day * DAY, version=2)
        given.come_true(request, (given.target + 100.0).tolist())
    found = monitor.monitor(given.workspace, replace(given.order(), limit=1.0), Inputs(given.workspace))
    assert [rule.name for rule in found.findings.blames_version] == ["metric", "coverage"]
    assert found.earlier is not None
    assert (found.advice.command, found.advice.rolls_back) == ("dvc repro", False)


@pytest.mark.long
def test_a_bundle_without_a_snapshot_has_no_drift_and_says_so(live: Callable[[str], Live]) -> None:
    given = live("table of regression")
    bare = given.folder / "bare"
    shutil.copytree(given.folder / "1", bare)
    store.save(given.forecaster, bare / "build" / "bundle")
    made = Build(bare / "prepared", bare / "build")
    receipt = register.register(given.workspace, made, given.params)
    validate.validate(given.workspace, receipt, made, given.params.policy, given.params.problem)
    promote.promote(given.workspace, YES, None, policy_digest(given.params.policy), None)
    found = given.monitored()
    assert found.findings.no_drift == monitor.NO_SNAPSHOT.format(2)
    assert states(found)["drift"] is State.UNKNOWN


@pytest.mark.long
def test_without_the_mlflow_server_the_drift_is_unknown_and_all_else_is_measured(
    live: Callable[[str], Live], unreachable: Callable[[Workspace], Workspace]
) -> None:
    given = live("table of regression")
    given.five_days(1, error=0.0)
    away = unreachable(given.workspace)
    found = monitor.monitor(away, given.order(), Inputs(away))
    assert "cannot be read" in found.findings.no_drift
    assert states(found)["metric"] is State.OK


@pytest.mark.long
def test_without_a_version_in_production_there_is_nothing_to_monitor(backend: Workspace, tmp_path: Path) -> None:
    given = Live(backend, "table of regression", tmp_path)
    with pytest.raises(StateConflict, match="is in Production"):
        given.monitored()


@pytest.mark.long
def test_a_correction_of_a_truth_counts_and_keeps_the_time_when_it_was_known_first(
    live: Callable[[str], Live],
) -> None:
    given = live("panel")
    request = given.ask(given.rows, timedelta(hours=1))
    given.come_true(request, (given.target * 3 + 100).tolist())
    given.come_true(request, given.target.tolist())
    given.ask(given.rows, timedelta(0), error=50.0)  # after the first truth
    found = given.monitored(days=200)
    verdict = validate.verdicts.latest_verdict(given.workspace.database, given.workspace.model, 1)
    assert found.findings.total.score == pytest.approx(verdict.metrics[given.params.problem.metric])
    assert found.findings.volume.too_late == len(given.rows)


@pytest.mark.long
def test_of_a_log_with_too_many_rows_all_rows_of_some_keys_are_read(
    live: Callable[[str], Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = live("state")
    given.ask(given.rows, timedelta(hours=1))
    monkeypatch.setattr(monitored_rows, "MOST_ROWS", len(given.rows) - 1)
    windows = given.order().windows(datetime.now(UTC))
    read = logged_rows.read(given.workspace, given.params.problem, windows, ANSWERS)
    assert read.remark == "the log has too many rows: those of one key in 2 were read"
    whole = given.rows["unit"].value_counts()
    assert all(count == whole[int(key)] for key, count in read.live.about["key"].value_counts().items())
    assert len(read.live) < len(given.rows)
    assert given.replayed(1).one_in == 2


class Shell:
    """The commands of a project folder, as processes."""

    def __init__(self, given: Live) -> None:
        self.given, self.folder = given, given.folder / "project"
        self.folder.mkdir()
        rules = given.params.monitor
        metric = rules.metric.model_copy(update={"limit": 1.0})
        params = given.params.model_copy(update={"monitor": rules.model_copy(update={"metric": metric})})
        (self.folder / "dvc.yaml").write_text("stages: {}\n")
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json")))
        addresses = given.workspace.addresses
        self.environment = os.environ | {
            "MLFLOW_TRACKING_URI": addresses.tracking_uri, "LOCKGATE_DATABASE_URL": addresses.database_url,
            "COLUMNS": "80",
        }  # fmt: skip

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "lockgate", *words]

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.words(*words), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done


class Received(BaseHTTPRequestHandler):
    """A receiver of webhooks."""

    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(500 if self.path.startswith("/broken") else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def webhook() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Received)
    Thread(target=server.serve_forever, daemon=True).start()
    Received.bodies.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_commands_end_with_4_tell_others_and_name_the_next_command(
    live: Callable[[str], Live], webhook: str
) -> None:
    given = live("table of regression")
    given.promote(2)
    given.five_days(2, error=5.0)
    shell = Shell(given)
    keep = "import sys, pathlib; pathlib.Path('alert.json').write_text(sys.stdin.read())"
    tell = shlex.join([sys.executable, "-c", keep])
    done = shell.run(
        "monitor", "--webhook", f"{webhook}/secret", "--on-alert", tell, "--html", "page.html", "--json", code=4
    )
    printed = json.loads(done.stdout)
    assert printed["firing"] == ["metric", "coverage", "drift"]
    assert printed["earlier"]["version"] == 1
    assert "hint: lockgate rollback --reason" in done.stderr
    [body] = Received.bodies
    assert json.loads(body)["next"] == 'lockgate rollback --reason "alert: metric, coverage"'
    assert json.loads((shell.folder / "alert.json").read_text()) == json.loads(body) | {
        "at": json.loads((shell.folder / "alert.json").read_text())["at"]
    }
    assert "<svg" in (shell.folder / "page.html").read_text()
    rolled = shell.run("rollback", "--if-alert", "--yes")
    assert "version 1 went from Archived to Production, version 2 to Archived" in rolled.stdout


def test_the_page_of_the_mlflow_server_shows_what_the_command_says(
    live: Callable[[str], Live], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the features that a version computes and the replay of an earlier one, which need their files."""
    given = live("table of regression")
    given.promote(2)
    given.five_days(2, error=5.0)
    shell = Shell(given)
    monkeypatch.setenv("LOCKGATE_PROJECTS", str(shell.folder))
    monkeypatch.setenv("LOCKGATE_DATABASE_URL", given.workspace.addresses.database_url)
    shown = monitoring_page.view(given.workspace, Rounds(Turn()))
    said = json.loads(shell.run("monitor", "--json", code=4).stdout)
    assert shown.refusal is None
    assert [(rule.name, rule.state, rule.says) for rule in shown.found.rules] == [
        (rule["name"], rule["state"], rule["says"]) for rule in said["findings"]["rules"]
    ]
    assert {rule.name for rule in shown.found.rules if rule.state == "firing"} == set(said["firing"])
    assert shown.found.command == said["advice"]["command"]


@pytest.mark.long
def test_receivers_that_fail_are_named_without_secrets_and_no_person_is_no_confirmation(
    live: Callable[[str], Live], webhook: str
) -> None:
    given = live("table of regression")
    given.promote(2)
    given.five_days(2, error=5.0)
    shell = Shell(given)
    (shell.folder / "page.html").touch()
    shell.run("monitor", "--html", "page.html", code=2)  # it exists
    failed = shell.run("monitor", "--webhook", f"{webhook}/broken?token=secret", "--on-alert", "/nowhere", code=4)
    assert "127.0.0.1 did not take the alert: HTTP status 500" in failed.stderr
    assert "/nowhere did not take the alert" in failed.stderr
    assert "secret" not in failed.stderr + failed.stdout
    assert max(map(len, failed.stdout.splitlines())) <= 80
    asked = shell.run("rollback", "--if-alert", code=2)
    assert "confirmation needed" in asked.stderr
    assert given.workspace.state().serving().version == 2
    replayed = shell.run("replay", "1")
    assert "version 1 would have been better" in replayed.stdout
    assert json.loads(shell.run("replay", "1", "--json").stdout)["would_be"] == "better"
    shell.run("rollback", "--if-alert", "--yes")
    calm = shell.run("rollback", "--if-alert", "--yes")
    assert calm.stdout.startswith("no rollback: ")
    shell.run("rollback", "--if-alert", "--to", "2", code=2)
    shell.run("rollback", "--yes", code=2)  # without a reason


@pytest.mark.long
def test_a_watching_monitor_sends_an_alert_once_and_ends_with_a_signal(
    live: Callable[[str], Live], webhook: str
) -> None:
    given = live("table of regression")
    given.five_days(1, error=5.0)
    shell = Shell(given)
    words = shell.words("monitor", "--watch", "1", "--webhook", webhook, "--json")
    with subprocess.Popen(
        words,
        cwd=shell.folder,
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=signals.heeded,
    ) as process:
        rounds = 0
        for line in process.stdout:
            rounds += line == "}\n"
            if rounds == 3:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(Received.bodies) == 1
