"""The pages inside the MLflow server: each shows what the commands show, and each form acts as its command does."""

import html
import re

import pytest
import requests
from page_scene import new_model, serving_and_staged
from page_visitor import Visitor, alert, goes_to
from passed_by_hand import passed_by_hand
from sqlalchemy import text

from lockgate.database import approvals, ledger
from lockgate.database.approvals import Approval
from lockgate.errors import StateConflict
from lockgate.operations import promote, review, status
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace, actor_here
from lockgate.pages import moves_page
from lockgate.system.service_urls import Addresses

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def model(stack: Addresses) -> Workspace:
    """Version 1 is in Production, version 2 in Staging. Only the last test moves them."""
    return serving_and_staged(stack)


@pytest.fixture
def visitor(stack: Addresses) -> Visitor:
    return Visitor(stack.tracking_uri)


def moves(model: Workspace) -> list[tuple[int, str, str, str, str]]:
    rows = ledger.read(model.database, model.model)
    return [(row.version, row.to_stage, row.command, row.actor, row.reason) for row in rows]


def decisions(model: Workspace, reason: str) -> list[Approval]:
    return [each for each in approvals.of_model(model.database, model.model) if each.reason == reason]


def text_of(reply: requests.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", reply.text))


def test_the_first_page_shows_who_is_live_and_what_waits(model: Workspace, visitor: Visitor) -> None:
    shown = text_of(visitor.get(""))
    assert re.search(f"version 2 of {model.model} .*?can be promoted", shown)
    found = status.status(model)
    assert found.serving_since is not None
    assert f"Production version 1 {found.serving_since:%Y-%m-%d %H:%M:%S} anna reviewed" in shown
    assert "all rules of the registry hold" in shown


def test_the_page_of_a_version_shows_its_verdict_and_its_record(model: Workspace, visitor: Visitor) -> None:
    shown = text_of(visitor.get("/versions/2", model=model.model))
    found = status.portrait(model, 2)
    assert found.record is not None
    assert found.verdict is not None
    assert found.record.bundle_digest in shown
    assert f"Verdict {found.verdict.id}, {found.verdict.decided_at:%Y-%m-%d %H:%M:%S} UTC, run by anna" in shown
    assert "Check Measured Limit Outcome within limit by hand – passed" in shown
    assert "version 1 is in Production" in shown


def test_the_page_of_a_version_shows_the_plots_of_its_run(model: Workspace, visitor: Visitor) -> None:
    page = visitor.get("/versions/2", model=model.model).text
    addresses = [html.unescape(found) for found in re.findall(r'<img src="([^"]+)" alt="[^"]+"', page)]
    assert addresses
    reply = visitor.session.get(visitor.address + addresses[0], timeout=30)
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "image/png")


def test_approve_by_form_is_the_approval_of_the_command(model: Workspace, visitor: Visitor) -> None:
    visitor.get("/versions/2", model=model.model)
    reply = visitor.send("/versions/2/decision", reason="holidays checked", decision="approve")
    assert goes_to(reply) == f"/lockgate/versions/2?model={model.model}&done=approved"
    assert "The approval is recorded." in visitor.get("/versions/2", model=model.model, done="approved").text
    review.approve(model, 2, "holidays checked", None)
    by_form, by_command = decisions(model, "holidays checked")
    assert (by_form.decided_by, by_form.recorded_by) == (actor_here(), actor_here())
    same = ("version", "bundle_digest", "verdict_id", "decision", "reason")
    assert [getattr(by_form, name) for name in same] == [getattr(by_command, name) for name in same]


def test_names_and_reasons_are_text_and_no_html(model: Workspace, visitor: Visitor) -> None:
    visitor.get("/versions/2", model=model.model)
    goes_to(visitor.send("/versions/2/decision", reason=EVIL, decision="approve"))
    for path in ("", "/versions/2", "/history"):
        page = visitor.get(path, model=model.model).text
        assert "<script" not in page
        assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in visitor.get("/history", model=model.model).text
    named = visitor.get("/versions/2", model=EVIL)
    assert (named.status_code, "<script" in named.text) == (404, False)


def test_a_page_loads_and_runs_nothing_from_elsewhere(model: Workspace, visitor: Visitor) -> None:
    for path in ("", "/versions/2", "/versions/2/promote", "/history"):
        reply = visitor.get(path, model=model.model)
        assert "default-src 'none'; style-src 'self'; img-src 'self'" in reply.headers["Content-Security-Policy"]
        assert not re.search(r"<script|<style|<[^>]*\s(?:style=|on[a-z]+=|(?:src|href)=\"(?:https?:)?//)", reply.text)
    assert (reply.headers["X-Frame-Options"], reply.headers["Cache-Control"]) == ("SAMEORIGIN", "no-store")
    assert {"HttpOnly", "Path=/lockgate", "SameSite=strict"} <= set(reply.headers["Set-Cookie"].split("; "))


def test_a_stale_page_moves_nothing(model: Workspace, visitor: Visitor) -> None:
    visitor.get("/versions/2/promote", model=model.model)
    before = moves(model)
    for current, said in (
        ("7", "version 1 is in Production, not 7, since"),
        ("none", "version 1 is in Production now; this page was made when it was none"),
    ):
        reply = visitor.send("/versions/2/promote", reason="better", current=current)
        assert reply.status_code == 409
        assert alert(reply)[0].startswith(said)
    assert visitor.send("/versions/2/promote", reason="better", current="x").status_code == 422
    assert moves(model) == before


def test_a_newer_verdict_than_the_shown_one_must_be_read_first(model: Workspace, visitor: Visitor) -> None:
    visitor.get("/versions/2", model=model.model)
    reply = visitor.send("/versions/2/decision", reason="of an earlier one", decision="approve", verdict="1")
    said = "there is a newer verdict on version 2 than the one on your page"
    assert (reply.status_code, alert(reply)[0]) == (409, said)
    assert decisions(model, "of an earlier one") == []


def test_a_form_of_another_site_or_session_is_refused(model: Workspace, visitor: Visitor) -> None:
    visitor.get("/versions/2", model=model.model)
    sent = {"reason": "mine", "decision": "approve"}
    foreign: list[dict[str, str | None]] = [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": None}, {"Sec-Fetch-Site": "cross-site"},
        {"Origin": visitor.address.replace("127.0.0.1", "localhost")}, {"Host": "evil.example"},
    ]  # fmt: skip
    refused = [visitor.send("/versions/2/decision", headers, **sent).status_code for headers in foreign]
    assert refused == [403] * len(foreign)
    assert visitor.send("/versions/2/decision", **sent, csrf="0" * 64).status_code == 403
    without_cookie = Visitor(visitor.address)
    assert without_cookie.send("/versions/2/decision", **visitor.fields | sent).status_code == 403
    assert decisions(model, "mine") == []


@pytest.mark.parametrize("body", ["reason=" + "x" * 20_000, "\xff\x00", "reason=%00&decision=approve", ""])
def test_a_broken_or_too_large_form_is_refused(visitor: Visitor, body: str) -> None:
    reply = requests.post(f"{visitor.address}/lockgate/versions/1/decision", data=body.encode("latin-1"), timeout=10)
    assert reply.status_code in (403, 413)


def test_a_reason_is_one_readable_line(model: Workspace, visitor: Visitor) -> None:
    visitor.get("/versions/2", model=model.model)
    for reason in ("", "   ", "two\nlines", "bell\x07", "x" * 2001):
        assert visitor.send("/versions/2/decision", reason=reason, decision="approve").status_code == 422


def test_every_page_has_its_status(model: Workspace, visitor: Visitor) -> None:
    expected = {
        "": 200, "/style.css": 200, "/versions/1": 200, "/history": 200, "/monitoring": 200, "/nowhere": 404,
        "/versions/99": 404, "/versions/0": 404, "/versions/x": 404, "/versions/99999999999": 404,
        "/versions/2/promote": 200, "/versions/1/promote": 409, "/rollback": 409,
    }  # fmt: skip
    assert {path: visitor.get(path, model=model.model).status_code for path in expected} == expected
    assert visitor.get("/history", model=model.model, at="soon").status_code == 422
    assert visitor.get("/rollback", model=model.model, to="x").status_code == 422


def test_history_says_who_was_live_at_a_moment(model: Workspace, visitor: Visitor) -> None:
    at = next(row.at for row in ledger.read(model.database, model.model) if row.to_stage == "Production")
    assert "version 1 was in Production" in text_of(visitor.get("/history", model=model.model, at=at.isoformat()))
    before = visitor.get("/history", model=model.model, at="2020-01-01T00:00")
    assert "no version was in Production" in text_of(before)


def test_a_model_without_versions_and_one_that_is_not_covered(model: Workspace, visitor: Visitor) -> None:
    """`lockgate guard cover` may name a model before its first version; other teams' models do not appear."""
    early, foreign = new_model(model.addresses), new_model(model.addresses)
    with model.database.transaction() as connection:
        connection.execute(text("SELECT lockgate.cover(:model, 'anna')"), {"model": early.model})
    shown = text_of(visitor.get(""))
    assert re.search(f"{early.model} Stage .*? Production no version Staging no version", shown)
    assert visitor.get("/versions/1", model=early.model).status_code == 404
    assert visitor.get("/history", model=early.model).status_code == 200
    assert foreign.model not in shown
    assert visitor.get("/history", model=foreign.model).status_code == 404


def test_the_guards_refusal_is_shown_word_for_word(backend, build, params, visitor: Visitor) -> None:  # type: ignore[no-untyped-def]
    passed_by_hand(backend, build(1), params, approval_required=True)
    assert "It needs an approval." in text_of(visitor.get("/versions/1", model=backend.model))
    reply = visitor.get("/versions/1/promote", model=backend.model)
    with pytest.raises(StateConflict) as refused:
        promote.promote(backend, YES, 1, moves_page.policy_in_force(backend), None)
    assert (reply.status_code, alert(reply)) == (409, (refused.value.message, refused.value.hint))
    visitor.get("/versions/1", model=backend.model)
    goes_to(visitor.send("/versions/1/decision", reason="too low", decision="reject"))
    assert moves(backend)[-1] == (1, "Archived", "reject", actor_here(), "too low")


def test_promote_and_roll_back_ask_first_and_leave_the_rows_of_the_commands(model: Workspace, visitor: Visitor) -> None:
    me, before = actor_here(), moves(model)
    asked = text_of(visitor.get("/versions/2/promote", model=model.model))
    assert "version 2 goes from Staging to Production version 1 goes from Production to Archived" in asked
    assert moves(model) == before
    goes_to(visitor.send("/versions/2/promote", reason="better"))
    assert sorted(moves(model)[-2:]) == [
        (1, "Archived", "promote", me, "displaced by version 2: better"),
        (2, "Production", "promote", me, "better"),
    ]
    visitor.get("/rollback", model=model.model)
    goes_to(visitor.send("/rollback", reason="too high"))
    assert sorted(moves(model)[-2:]) == [
        (1, "Production", "rollback", me, "too high"),
        (2, "Archived", "rollback", me, "displaced by version 1: too high"),
    ]
    assert "The last rollback took it out" in visitor.get("/versions/2", model=model.model).text
    with model.database.transaction() as connection:
        reported = "SELECT bool_and(reported_at IS NOT NULL) FROM lockgate.intents WHERE model = :model AND actor = :me"
        assert connection.scalar(text(reported), {"model": model.model, "me": me})
