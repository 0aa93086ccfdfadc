"""Asks a server for forecasts over some connections for some seconds and prints JSON; a process of its own, and cheap.

Usage: load_client.py HOST PORT CONNECTIONS SECONDS BODY_FILE
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

HEAD_END, LENGTH = b"\r\n\r\n", b"content-length:"


class Client(asyncio.Protocol):
    """One connection: the next request leaves when the answer to the last one is complete."""

    def __init__(self, request: bytes, until: float, done: asyncio.Event) -> None:
        self.request, self.until, self.done = request, until, done
        self.seconds: list[float] = []
        self.failed = 0
        self.buffer = bytearray()
        self.missing = -1  # bytes of the answer; -1 until its head is complete

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.missing < 0 and (end := self.buffer.find(HEAD_END)) >= 0:
            head = bytes(self.buffer[:end]).lower()
            self.missing = end + len(HEAD_END) + int(head.split(LENGTH)[1].split(b"\r\n")[0])
            self.failed += b" 200 " not in head[:15]
        if 0 <= self.missing <= len(self.buffer):
            self._answered()

    def connection_lost(self, _: Exception | None) -> None:
        self.done.set()

    def _ask(self) -> None:
        self.asked, self.missing = time.perf_counter(), -1
        self.buffer.clear()
        self.transport.write(self.request)

    def _answered(self) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self.asked)
        if now < self.until:
            self._ask()
        else:
            self.transport.close()


async def main(host: str, port: int, connections: int, seconds: float, body: bytes) -> None:
    """Print the requests, the failures, the seconds, and the 50th and 99th percentile of the latency in ms."""
    head = f"POST /invocations HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    events = [asyncio.Event() for _ in range(connections)]
    clients = [
        (await loop.create_connection(lambda e=event: Client(request, began + seconds, e), host, port))[1]
        for event in events
    ]
    await asyncio.gather(*(event.wait() for event in events))
    took = time.perf_counter() - began
    found = sorted(each for client in clients for each in client.seconds)
    print(
        json.dumps(
            {
                "requests": len(found),
                "failed": sum(client.failed for client in clients),
                "per_second": len(found) / took,
                "p50_ms": found[len(found) // 2] * 1000,
                "p99_ms": found[min(len(found) - 1, int(len(found) * 0.99))] * 1000,
            }
        )
    )


if __name__ == "__main__":
    where, number, count, span, file = sys.argv[1:]
    uvloop.run(main(where, int(number), int(count), float(span), Path(file).read_bytes()))
