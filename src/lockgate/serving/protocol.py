"""The HTTP side of the server: /invocations by hand, because every microsecond counts there; other pages by FastAPI."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any

from lockgate.serving import origins, pin
from lockgate.serving.exchange import Header, Reply, Waiting, caller_id
from lockgate.serving.explained import Explainer
from lockgate.serving.refusals import Refused
from lockgate.serving.scorer import Scorer
from lockgate.serving.server_state import Server
from lockgate.serving.turn import refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Pages = Callable[[Scope, Receive, Send], Awaitable[None]]
CLOSE: Header = (b"connection", b"close")
READ_ON = 4  # a body of this many times the limit is read to its end
STOPPED = Refused(503, "the server stops, and the forecast was not ready", "ask again")
FOREIGN = Refused(403, "the request names another host, or comes from a page of another host")
COMPRESSED = Refused(415, "the body is compressed", "send it without Content-Encoding")


class Application:
    """The ASGI application."""

    def __init__(self, scorer: Scorer, server: Server, pages: Pages) -> None:
        self._scorer = scorer
        self._limits = server.limits
        self._pinning = server.board.pinning
        self._metrics = server.metrics
        self._pages = pages
        self._explainer = Explainer(server.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        if origins.is_foreign(scope.get("server"), headers):
            await _send(send, refused(FOREIGN), ())
        elif scope["path"] == "/invocations":
            await self._invocations(scope["method"], headers, receive, send)
        else:
            await self._pages(scope, receive, send)

    async def _invocations(self, method: str, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        waiting: Waiting | None = None
        since = monotonic()
        try:
            if method != "POST":
                raise Refused(405, "forecasts are asked for by POST")
            body = await self._body(headers, receive)
            if headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise COMPRESSED
            waiting, answer = self._waiting(headers, body)
            self._scorer.take(waiting)
            reply = await answer
            if reply.explained:
                reply = replace(reply, body=await self._explainer.made(reply.explained), explained=None)
        except Refused as refusal:
            reply = _closing(refused(refusal))
            self._metrics.answered(refusal.status, since)
        except ClientGone:
            return
        except asyncio.CancelledError:
            reply = refused(STOPPED)
            self._metrics.answered(reply.status, since)
        with suppress(asyncio.CancelledError):  # the server stops, and the client does not read
            await _send(send, reply, _request_id(waiting, headers))

    def _waiting(self, headers: dict[bytes, bytes], body: bytes) -> tuple[Waiting, "asyncio.Future[Reply]"]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        deliver = _deliverer(loop, answer)
        kind = headers.get(b"content-type", b"").decode("latin-1")
        version = pin.asked_for(headers, self._pinning)
        return Waiting(body, kind, caller_id(headers.get(b"x-request-id")), deliver, version), answer

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body. One that is too large is read to its end, as far as that goes, so that the client hears why.

        Raises Refused, ClientGone.
        """
        if int(headers.get(b"content-length", b"0")) > READ_ON * self._limits.body_bytes:
            raise self._too_large()
        message = await self._next(receive)
        if not message.get("more_body") and len(message["body"]) <= self._limits.body_bytes:
            return bytes(message["body"])
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                return await self._rest(message, receive)
        except TimeoutError:
            raise Refused(408, f"the body was not complete after {self._limits.read_seconds:g} s") from None

    async def _rest(self, message: MutableMapping[str, Any], receive: Receive) -> bytes:
        parts, size = [message["body"]], len(message["body"])
        while message.get("more_body"):
            message = await self._next(receive)
            size += len(message["body"])
            if size > READ_ON * self._limits.body_bytes:
                raise self._too_large()
            if size <= self._limits.body_bytes:
                parts.append(message["body"])
        if size > self._limits.body_bytes:
            raise self._too_large()
        return b"".join(parts)

    async def _next(self, receive: Receive) -> MutableMapping[str, Any]:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is larger than {self._limits.body_bytes >> 20} MiB", "send the rows in parts")


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


def _deliverer(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[Reply]") -> Callable[[Reply], None]:
    def set_reply(reply: Reply) -> None:
        if not answer.done():
            answer.set_result(reply)

    home = threading.get_ident()

    def deliver(reply: Reply) -> None:
        if threading.get_ident() == home:
            set_reply(reply)
        else:
            with suppress(RuntimeError):  # the loop has ended: the server stopped, and the request was cut
                loop.call_soon_threadsafe(set_reply, reply)

    return deliver


def _closing(reply: Reply) -> Reply:
    """The reply, after which the connection is closed if the body was not read to its end."""
    return Reply(reply.status, reply.body, (*reply.headers, CLOSE)) if reply.status in (405, 408, 413) else reply


def _request_id(waiting: Waiting | None, headers: dict[bytes, bytes]) -> tuple[Header, ...]:
    """The id of the request in the log, and the caller's own id of it, if it has one."""
    given = caller_id(headers.get(b"x-request-id"))
    made = waiting.request_id if waiting else None
    found = {b"x-request-id": given or made, b"x-lockgate-request-id": made}
    return tuple((name, value.encode()) for name, value in found.items() if value)


async def _send(send: Send, reply: Reply, more: tuple[Header, ...]) -> None:
    length = (b"content-length", str(len(reply.body)).encode())
    headers = [length, *reply.headers, *more]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
