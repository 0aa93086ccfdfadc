"""A server in the place of MLflow's that answers every request with one status."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Failing:
    """The server, and how many connections it has had."""

    status: int
    body: bytes = b""
    asked: int = 0
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def address(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.listening.getsockname()[1]}"

    def serve(self) -> None:
        """Answer until the socket is closed."""
        headers = f"Location: /login\r\nContent-Length: {len(self.body)}\r\nConnection: close"
        reply = f"HTTP/1.1 {self.status} No\r\n{headers}\r\n\r\n".encode() + self.body
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            self.asked += 1
            with client:
                client.recv(1 << 16)
                client.sendall(reply)


@contextmanager
def answering(status: int, body: bytes = b"") -> Iterator[Failing]:
    """A server that answers with this status while the block runs."""
    server = Failing(status, body)
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield server
    finally:
        server.listening.shutdown(socket.SHUT_RDWR)
        server.listening.close()
