"""What the threads of a server share."""

from dataclasses import dataclass, field

from lockgate.serving.board import Board
from lockgate.serving.limits import Limits
from lockgate.serving.metrics import Metrics


@dataclass(frozen=True)
class Server:
    """The versions that score, the limits of requests, and the metrics."""

    board: Board
    limits: Limits = field(default_factory=Limits)
    metrics: Metrics = field(default_factory=Metrics)
