"""A TCP proxy before the MLflow server, which loses replies, holds them back, or swallows requests, as it is told."""

import asyncio
import threading
from contextlib import suppress
from enum import StrEnum
from random import Random

HOST = "127.0.0.1"
CHUNK = 1 << 16
HELD_BACK_SECONDS = 0.3
SUFFERS = 0.3  # of all that passes in a bad mood


class Mood(StrEnum):
    """What may happen to what passes now."""

    HONEST = "honest"
    LOSES_REPLIES = "loses replies"
    SLOW = "slow"
    SILENT = "silent"


class Proxy:
    """Listens on a port of its own from `start` to `stop`. In a bad mood a share of all requests or replies suffers.

    Each is drawn for by itself: clients keep their connections, and one of before the fault is no shelter from it.
    """

    def __init__(self, upstream_port: int, seed: str) -> None:
        self.mood = Mood.HONEST
        self.port = 0
        self._upstream_port = upstream_port
        self._dice = Random(seed)
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        self._thread.start()
        self._listening.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, HOST, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(_all_others_ended())
        self._loop.close()

    async def _connection(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        upstream = None
        with suppress(OSError, asyncio.CancelledError):
            server, upstream = await asyncio.open_connection(HOST, self._upstream_port)
            await asyncio.gather(self._requests(client, upstream), self._replies(server, answer))
        for line in (answer, upstream):
            if line is not None:
                line.close()

    async def _requests(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while chunk := await client.read(CHUNK):
            if self._drawn() is Mood.SILENT:
                await client.read()  # everything, and never a word
                break
            await _passed_on(chunk, server)
        server.close()

    async def _replies(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """A reply that is lost is lost after the server has done its work."""
        while chunk := await server.read(CHUNK):
            mood = self._drawn()
            if mood is Mood.LOSES_REPLIES:
                break
            if mood is Mood.SLOW:
                await asyncio.sleep(HELD_BACK_SECONDS)
            await _passed_on(chunk, client)
        client.close()

    def _drawn(self) -> Mood:
        return self.mood if self._dice.random() < SUFFERS else Mood.HONEST


async def _all_others_ended() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _passed_on(chunk: bytes, to: asyncio.StreamWriter) -> None:
    to.write(chunk)
    await to.drain()
