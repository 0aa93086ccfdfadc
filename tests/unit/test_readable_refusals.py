"""MLflow's pages show a refusal of the guard in its own words, and every other answer as it is."""

import asyncio
import json

import pytest

from lockgate.registry import error_messages
from lockgate.registry.readable_refusals import ReadableRefusals, readable

RAW = (
    "(psycopg2.errors.RestrictViolation) version 3 of shop stays in Staging: it has no approval on verdict 7\n"
    "HINT:  approve it: lockgate approve 3\nCONTEXT:  PL/pgSQL function lockgate.guard_moves() line 27 at RAISE\n\n"
    "(Background on this error at: https://sqlalche.me/e/21/gkpj)"
)
SAID = (
    "Refused by the gate: version 3 of shop stays in Staging: it has no approval on verdict 7.\n"
    "What to do: approve it: lockgate approve 3"
)


def answered(status, *parts):
    """The messages of an answer with this status and body, after the wrapper."""
    sent = []

    async def application(scope, receive, send):
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(b"".join(parts)))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for place, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": place < len(parts) - 1})

    async def send(message):
        sent.append(message)

    asyncio.run(ReadableRefusals(application)({"type": "http"}, None, send))
    return sent


def test_a_refusal_is_its_sentence_and_what_to_do_with_the_same_code():
    body = json.dumps({"error_code": "BAD_REQUEST", "message": RAW}).encode()
    start, rest = answered(400, body[:20], body[20:])
    assert json.loads(rest["body"]) == {"error_code": "BAD_REQUEST", "message": SAID}
    assert (start["status"], dict(start["headers"])[b"content-length"]) == (400, b"%d" % len(rest["body"]))


def test_the_command_line_reads_both_forms_alike():
    for text in (RAW, SAID):
        refused = error_messages.refusal(f"BAD_REQUEST: {text}", "BAD_REQUEST")
        assert refused.message == "version 3 of shop stays in Staging: it has no approval on verdict 7"
        assert refused.hint == "approve it: lockgate approve 3"


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[1]", b"null", b'{"message": 5}', b'{"message": "RESOURCE_DOES_NOT_EXIST: no run"}']
)
def test_another_error_passes_unchanged(body):
    assert readable(body) == body
    assert answered(404, body)[-1]["body"] == body


def test_a_good_answer_passes_part_by_part():
    parts = [json.dumps({"message": RAW}).encode(), b"more"]
    assert [message.get("body") for message in answered(200, *parts)] == [None, *parts]


def test_a_large_error_passes_without_waiting_for_its_end():
    parts = [b"x" * (2 << 20), b"y"]
    assert [message.get("body") for message in answered(500, *parts)] == [None, *parts]
