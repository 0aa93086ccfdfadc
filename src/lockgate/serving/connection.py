"""A connection of the server: uvicorn's, and it ends if the headers of a request come too slowly or are too large."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lockgate.serving.limits import Limits

SECONDS, MOST_BYTES = Limits.read_seconds, Limits.header_bytes
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """Waits for the headers of the first request, and of each further one from its first byte, for a limited time.

    The parser itself has no limit for the size of headers.
    """

    _late: asyncio.TimerHandle | None = None
    _bytes = 0  # of headers that are not complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._bytes = self._bytes + len(data) if self._late else 0
        if self._bytes > MOST_BYTES and not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

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
