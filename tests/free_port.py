"""A port that nothing listens at."""

import socket


def free_port() -> int:
    """A port of this machine that was free a moment ago, outside the range that `lockgate up` looks through."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
