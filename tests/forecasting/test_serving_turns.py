"""Turns of `lockgate serve` when something fails: the log has no room, or the shadow cannot score."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import small_chain

from lockgate.database.connection import Database
from lockgate.lifecycle.stages import Stage
from lockgate.prediction_log.spool import Spool
from lockgate.serving import turn
from lockgate.serving.board import Board, Routes
from lockgate.serving.exchange import Waiting
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.log import Log
from lockgate.serving.server_state import Server
from lockgate.serving.shadow import Shadow
from lockgate.serving.turn import Entry, Turn

NOWHERE = "postgresql+psycopg2://nobody@127.0.0.1:9/none"  # the log is only kept here, and never moved


@pytest.fixture(scope="module")
def version() -> LiveVersion:
    """A version of the small chain."""
    return LiveVersion("m", 1, "d", Stage.PRODUCTION, None, small_chain.forecaster())


def log_of(folder: Path, server: Server, **limit: int) -> Log:
    """A log whose thread does not run."""
    return Log(Spool(folder, **limit), Database(NOWHERE, 1.0), "m", server.metrics)


def waiting(rows: int) -> Waiting:
    """A request for the first rows of the small chain."""
    split = json.loads(small_chain.asked().head(rows).astype({"Date": str}).to_json(orient="split", index=False))
    return Waiting(json.dumps({"dataframe_split": split}).encode(), "application/json", None, lambda _: None)


def scored(server: Server, *requests: Waiting) -> list[Entry]:
    """A turn with these requests, before its log."""
    found = turn.entries(Turn(requests, server.board.routes, server.limits))
    turn.score(found, server.limits, with_log=True)
    return found


def test_what_the_spool_has_no_room_for_is_refused_and_not_answered(version: LiveVersion, tmp_path: Path) -> None:
    server = Server(Board(Routes(version)))
    log = log_of(tmp_path, server, limit_bytes=40_000)
    small, large = scored(server, waiting(2)), scored(server, waiting(500))
    turn.keep(small, log)
    assert turn.reply(small[0]).status == 200
    turn.keep(large, log)
    refused = turn.reply(large[0])
    assert (refused.status, b"predictions" in refused.body, b"Store" in refused.body) == (503, True, False)
    [kept] = log.spool.batch(10).texts
    assert json.loads(kept)["request_id"] == small[0].waiting.request_id


def test_a_shadow_that_cannot_score_changes_no_answer_and_is_counted(version: LiveVersion, tmp_path: Path) -> None:
    old = replace(version.forecaster, state=replace(version.forecaster.state, horizon=1))  # its days are soon over
    shadow = LiveVersion("m", 2, "e", Stage.STAGING, None, old)
    server = Server(Board(Routes(version, shadow=shadow)))
    log = log_of(tmp_path, server)
    thread, found = Shadow(server, log), scored(server, waiting(500))
    turn.keep(found, log)
    thread.start()
    thread.take(server.board.routes, found)
    thread.stop()
    assert turn.reply(found[0]).status == 200
    assert "lockgate_shadow_errors_total 1.0" in server.metrics.page().decode()
    assert {json.loads(text)["role"] for text in log.spool.batch(10).texts} == {"served"}
