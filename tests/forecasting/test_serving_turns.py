"""Turns of `lockgate serve` when something fails: the log has no room, or the shadow cannot score."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import logged
import pytest
import small_chain

from lockgate.database.connection import Database
from lockgate.lifecycle.model_state import Entry as Move
from lockgate.lifecycle.model_state import ModelState, Registered
from lockgate.lifecycle.stages import Stage
from lockgate.prediction_log.spool import Spool
from lockgate.serving import pin, turn
from lockgate.serving.board import Board, Routes
from lockgate.serving.exchange import Waiting
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.log import Log
from lockgate.serving.pin import Pinning, Previous
from lockgate.serving.refusals import Refused
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
    [kept] = log.spool.batch(10).records
    assert logged.head(kept)["request_id"] == small[0].waiting.request_id


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
    assert {logged.head(record)["role"] for record in log.spool.batch(10).records} == {"served"}


def state(*moves: tuple[int, Stage, Stage, str]) -> ModelState:
    """The state of a model with the versions 1 and 2, of the digests d and e, after these moves."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ledger = [Move(version, before, after, command, "anna", at) for version, before, after, command in moves]
    stages = {1: Stage.NONE, 2: Stage.NONE} | {move.version: move.to_stage for move in ledger}
    versions = [Registered(version, stages[version], digest) for version, digest in ((1, "d"), (2, "e"))]
    return ModelState("m", versions, ledger)


PROMOTED = (
    (1, Stage.STAGING, Stage.PRODUCTION, "promote"),
    (1, Stage.PRODUCTION, Stage.ARCHIVED, "promote"),
    (2, Stage.STAGING, Stage.PRODUCTION, "promote"),
)
ROLLED_BACK = (
    *PROMOTED,
    (2, Stage.PRODUCTION, Stage.ARCHIVED, "rollback"),
    (1, Stage.ARCHIVED, Stage.PRODUCTION, "rollback"),
)


def test_a_request_is_answered_by_the_version_that_it_names_or_refused_with_those_that_are_held(
    version: LiveVersion, tmp_path: Path
) -> None:
    newer, canary = replace(version, version=2, digest="e"), replace(version, version=3, stage=Stage.STAGING)
    previous = pin.kept(version, newer, state(*PROMOTED), Pinning())
    server = Server(Board(Routes(newer, canary=canary, share=100, previous=previous)))
    log = log_of(tmp_path, server)
    named = [replace(waiting(2), version=each) for each in (None, 1, 2, 3, 4)]
    found = scored(server, *named)
    turn.keep(found, log)
    replies = [turn.reply(entry) for entry in found]
    assert [reply.status for reply in replies] == [200, 200, 200, 409, 409]
    heads = [dict(reply.headers) for reply in replies[:3]]
    assert [(head[b"x-lockgate-version"], head[b"x-lockgate-stage"]) for head in heads] == [
        (b"3", b"Staging"),
        (b"1", b"Archived"),
        (b"2", b"Production"),
    ]
    assert json.loads(replies[3].body)["versions"] == [2, 1]
    rows = [logged.head(record) for record in log.spool.batch(10).records]
    assert {each["request_id"]: (each["version"], each["role"]) for each in rows} == {
        named[0].request_id: (3, "canary"),
        named[1].request_id: (1, "served"),
        named[2].request_id: (2, "served"),
    }


def test_a_version_is_kept_after_a_switch_for_its_time_and_never_after_a_rollback_of_it(version: LiveVersion) -> None:
    newer = replace(version, version=2, digest="e")
    kept = pin.kept(version, newer, state(*PROMOTED), Pinning(seconds=100))
    assert kept and kept.live.stage is Stage.ARCHIVED and 0 < kept.seconds_left <= 100
    assert pin.may_answer(kept, state(*PROMOTED))
    assert pin.kept(newer, version, state(*ROLLED_BACK), Pinning()) is None
    bad = Previous(newer, kept.until)
    assert pin.may_answer(bad, state(*PROMOTED)) and not pin.may_answer(bad, state(*ROLLED_BACK))
    assert not pin.may_answer(Previous(replace(version, digest="other files"), kept.until), state(*PROMOTED))
    assert pin.kept(version, newer, state(*PROMOTED), Pinning(seconds=0)) is None
    assert pin.kept(version, newer, state(*PROMOTED), Pinning(allowed=False)) is None
    assert pin.kept(replace(version, degraded="no registry"), newer, state(*PROMOTED), Pinning()) is None
    late = Routes(newer, previous=replace(kept, until=0.0))
    assert [live.version for live in late.held] == [2]


@pytest.mark.parametrize("given", [b"", b"x", b"-1", b"1.0", b"1, 2", b"9" * 10])
def test_a_header_that_is_no_version_is_refused(given: bytes) -> None:
    with pytest.raises(Refused) as refused:
        pin.asked_for({pin.HEADER: given}, Pinning())
    assert refused.value.status == 400


def test_a_server_without_pins_refuses_the_header_and_says_so() -> None:
    assert pin.asked_for({pin.HEADER: b"12"}, Pinning()) == 12
    assert pin.asked_for({}, Pinning(allowed=False)) is None
    with pytest.raises(Refused, match="lets no request name its version"):
        pin.asked_for({pin.HEADER: b"12"}, Pinning(allowed=False))
