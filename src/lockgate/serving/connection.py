"""A connection of the server: uvicorn's, and it ends if the headers of a request do not come in time."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lockgate.serving.limits import Limits

SECONDS = Limits.read_seconds


class Connection(HttpToolsProtocol):
    """Waits for the headers of the first request, and of each further one from its first byte, for a limited time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin()

    def on_headers_complete(self) -> None:
        self._end()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._end()
        self._late = self.loop.call_later(SECONDS, self.transport.abort)

    def _end(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None
