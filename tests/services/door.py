"""A port before a server, which a test closes."""

import select
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class Door:
    """A port before a server: it passes everything on, or accepts and stays silent, or is closed."""

    upstream: tuple[str, int] | str
    is_silent: bool = False
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    open: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            self.open.append(client)
            if not self.is_silent:
                threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX if isinstance(self.upstream, str) else socket.AF_INET)
        with client, server, suppress(OSError, ValueError):  # the test ends, or the other side does
            server.connect(self.upstream)
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    if not (chunk := ready.recv(1 << 16)):
                        return
                    (server if ready is client else client).sendall(chunk)

    def close(self) -> None:
        """Refuse new connections and end the open ones."""
        if self.listening.fileno() >= 0:
            self.listening.shutdown(socket.SHUT_RDWR)
            self.listening.close()
        self.hang_up()

    def fall_silent(self) -> None:
        """Accept, and never answer."""
        self.is_silent = True
        self.hang_up()

    def hang_up(self) -> None:
        for each in self.open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
