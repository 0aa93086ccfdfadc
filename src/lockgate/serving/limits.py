"""What a client may send, and how long it may take."""

from dataclasses import dataclass

from lockgate.forecaster.explanation_records import MOST_EXPLAINED


@dataclass(frozen=True)
class Limits:
    """The limits of a request, and of all requests that wait."""

    body_bytes: int = 32 << 20
    rows: int = 100_000
    read_seconds: float = 10.0  # for the headers, and for the whole body
    header_bytes: int = 64 << 10  # and at most one block of the network more
    waiting_requests: int = 1_000
    waiting_bytes: int = 256 << 20
    explained_rows: int = MOST_EXPLAINED  # of a request
    waiting_explanations: int = 16  # requests
    batch_rows: int = 1_900  # scored together: boosters take one thread below 2,000 rows; a larger request is alone
