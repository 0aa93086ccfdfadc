"""What a client may send, and how long it may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a request, and of all requests that wait."""

    body_bytes: int = 32 << 20
    rows: int = 100_000
    read_seconds: float = 10.0  # for the whole body
    waiting_requests: int = 1_000
    waiting_bytes: int = 256 << 20
    batch_rows: int = 1_900  # scored together: boosters take one thread below 2,000 rows; a larger request is alone
