"""Refusals of the guard as a person reads them: MLflow's pages show the message of an error as it is.

MLflow puts the driver's class, the place in the function and a link of SQLAlchemy around the sentence of the guard.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from lockgate.registry.error_messages import GUARD_SAID, HINT_OF_GUARD, REFUSED_BY_GUARD

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

FIRST_ERROR = 400
LARGEST = 1 << 20  # bytes of an answer that is rewritten


class ReadableRefusals:
    """An ASGI application around MLflow's: answers that are not refusals of the guard pass unchanged."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            await self._app(scope, receive, _Answer(send).send)
        else:
            await self._app(scope, receive, send)


class _Answer:
    """One answer; the beginning of an error is kept back until its body is there."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        """Send a part of the answer, or keep it back."""
        if message["type"] == "http.response.start" and message["status"] >= FIRST_ERROR:
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body") or len(self._body) > LARGEST:
                await self._finish(self._start, bool(message.get("more_body")))

    async def _finish(self, start: Message, more: bool) -> None:
        self._start = None
        body = self._body if more else readable(self._body)
        if body != self._body:
            headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            start = {**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def readable(body: bytes) -> bytes:
    """The body of an error of MLflow; a refusal of the guard has only its sentence and what to do."""
    try:
        error = json.loads(body)
        said = GUARD_SAID.search(error["message"])
    except (ValueError, KeyError, TypeError):
        return body
    if said is None:
        return body
    message = f"{REFUSED_BY_GUARD}{said['text']}.\n{HINT_OF_GUARD}{said['hint']}"
    return json.dumps({**error, "message": message}).encode()
