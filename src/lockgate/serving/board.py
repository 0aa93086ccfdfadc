"""What answers now, and what went wrong while the stage was followed. Threads replace values as a whole."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from lockgate.serving.live_version import LiveVersion
from lockgate.serving.pin import Pinning, Previous


@dataclass(frozen=True)
class Routes:
    """The versions that score requests: one of `served` and `canary` answers, `shadow` is only logged.

    `share` is that of the canary in percent. `previous` answers only requests that name it. Without a version in the
    stage, nothing answers.
    """

    served: LiveVersion | None
    canary: LiveVersion | None = None
    share: int = 0
    shadow: LiveVersion | None = None
    previous: Previous | None = None

    @property
    def held(self) -> tuple[LiveVersion, ...]:
        """The versions that a request may name: the one that answers, then the one before it while it is kept."""
        previous = self.previous if self.previous and self.previous.seconds_left else None
        return tuple(live for live in (self.served, previous.live if previous else None) if live)


@dataclass(frozen=True)
class FailedSwitch:
    """A version that could not be loaded, so that the one before it goes on."""

    stage: str
    version: int
    reason: str
    at: datetime


@dataclass
class Board:
    """The routes now. `unreachable` says why the stage cannot be followed; "" if it can."""

    routes: Routes
    failed: FailedSwitch | None = None
    unreachable: str = ""
    pinning: Pinning = field(default_factory=Pinning)

    def change(self, **routes: LiveVersion | Previous | int | None) -> None:
        """Replace some of the routes, in one step."""
        self.routes = replace(self.routes, **routes)  # type: ignore[arg-type]
