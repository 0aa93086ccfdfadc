"""What answers now, and what went wrong while the stage was followed. Threads replace values as a whole."""

from dataclasses import dataclass, replace
from datetime import datetime

from lockgate.serving.live_version import LiveVersion


@dataclass(frozen=True)
class Routes:
    """The versions that score requests: one of `served` and `canary` answers, `shadow` is only logged.

    `share` is that of the canary in percent. Without a version in the stage, nothing answers.
    """

    served: LiveVersion | None
    canary: LiveVersion | None = None
    share: int = 0
    shadow: LiveVersion | None = None


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

    def change(self, **routes: LiveVersion | int | None) -> None:
        """Replace some of the routes, in one step."""
        self.routes = replace(self.routes, **routes)  # type: ignore[arg-type]
