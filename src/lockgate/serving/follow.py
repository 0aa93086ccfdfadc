"""Follows the stages: a new version is loaded beside the old one, which answers until the new one is ready."""

import os
import select
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from lockgate.database import notifications, serving_shares
from lockgate.database.notifications import Listener
from lockgate.errors import LockgateError, Unavailable
from lockgate.lifecycle.stages import Stage
from lockgate.operations.answering_version import FallbackTerms
from lockgate.operations.workspace import Workspace
from lockgate.serving import live_version
from lockgate.serving.board import Board, FailedSwitch
from lockgate.serving.live_version import LiveVersion, Place
from lockgate.serving.messages import report_bug, tell
from lockgate.serving.metrics import Metrics

POLL_SECONDS = 5.0  # a notification can be lost with its connection
AGAIN_SECONDS = 30.0  # until a version that could not be loaded is tried again


@dataclass(frozen=True)
class Followed:
    """The stage of each role: of the version that answers, and of a shadow or a canary."""

    served: Stage
    shadow: Stage | None = None
    canary: Stage | None = None

    @property
    def stages(self) -> Mapping[str, Stage]:
        """The stage by role."""
        found = {"served": self.served, "shadow": self.shadow, "canary": self.canary}
        return {role: stage for role, stage in found.items() if stage}


def set_share(workspace: Workspace, followed: Followed, share: int | None) -> None:
    """Put the share of the canary in force with which the server was started; None leaves the one in force."""
    if followed.canary and share is not None:
        said = (workspace.actor, "lockgate serve --canary")
        serving_shares.set_share(workspace.database, workspace.model, followed.canary, share, said)


@dataclass
class Follower:
    """A thread that keeps the board as the registry says."""

    workspace: Workspace
    followed: Followed
    board: Board
    metrics: Metrics
    _failures: dict[Place, float] = field(default_factory=dict)  # when each was tried
    _stop: tuple[int, int] = field(default_factory=os.pipe)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a load that runs is not waited for."""
        os.write(self._stop[1], b"x")

    def check_at_start(self, share: int | None) -> None:
        """Load a shadow or a canary before the port opens, and put the share of the canary in force."""
        try:
            set_share(self.workspace, self.followed, share)
            self.check()
        except Unavailable as refusal:
            self._cannot_follow(refusal)

    def check(self) -> None:
        """Bring the board to what the registry says now. Raises Unavailable if it does not answer."""
        state = self.workspace.state()
        for role, stage in self.followed.stages.items():
            self._follow(role, stage, live_version.in_stage(state, stage))
        if self.followed.canary:
            self._share(self.followed.canary)

    def _run(self) -> None:
        while not self._stopped():
            try:
                with notifications.listening(
                    self.workspace.database, (notifications.STAGES, notifications.SHARES)
                ) as listener:
                    self._listen(listener)
            except LockgateError as refusal:
                self._cannot_follow(refusal)
            except Exception as bug:  # noqa: BLE001 - the server goes on with the version that it has
                report_bug(bug)
            self._stopped(POLL_SECONDS)

    def _listen(self, listener: Listener) -> None:
        while not self._stopped():
            self.check()
            if self.board.unreachable:
                tell("the registry answers again")
                self.board.unreachable = ""
            listener.wait(POLL_SECONDS, [self._stop[0]])

    def _cannot_follow(self, refusal: LockgateError) -> None:
        if self.board.unreachable != str(refusal):
            tell(f"warning: the stage cannot be followed: {refusal}; the version in memory goes on")
        self.board.unreachable = str(refusal)

    def _follow(self, role: str, stage: Stage, place: Place | None) -> None:
        now: LiveVersion | None = getattr(self.board.routes, role)
        if place is None:
            if now is not None:
                tell(f"no version is in {stage} any more{'; requests are refused' if role == 'served' else ''}")
                self.board.change(**{role: None})
        elif now is None or (now.version, now.digest) != (place.version, place.digest) or now.degraded:
            self._switch(role, stage, place)

    def _switch(self, role: str, stage: Stage, place: Place) -> None:
        if place in self._failures and monotonic() < self._failures[place] + AGAIN_SECONDS:
            return
        try:
            live = live_version.load(self.workspace, stage, FallbackTerms(allowed=False))
        except Unavailable:
            raise
        except LockgateError as refusal:
            return self._failed(stage, place, refusal.message)
        except Exception as bug:  # noqa: BLE001 - the version before it goes on
            report_bug(bug)
            return self._failed(stage, place, "a bug in Lockgate")
        self._failures.clear()
        if self.board.failed and self.board.failed.stage == stage:
            self.board.failed = None
        self.board.change(**{role: live})
        self.metrics.switches.inc()
        tell(f"version {live.version} ({stage}) {'answers now' if role == 'served' else f'is the {role} now'}")

    def _failed(self, stage: Stage, place: Place, reason: str) -> None:
        self._failures[place] = monotonic()
        self.metrics.failed_switches.inc()
        self.board.failed = FailedSwitch(str(stage), place.version, reason, datetime.now(UTC))
        tell(f"warning: version {place.version} in {stage} cannot be loaded, the one before it goes on: {reason}")

    def _share(self, stage: Stage) -> None:
        found = serving_shares.shares(self.workspace.database, self.workspace.model)
        share = next((each.share for each in reversed(found) if each.stage == stage), None)
        if share is not None and share != self.board.routes.share:
            self.board.change(share=share)
            tell(f"the canary ({stage}) answers {share} % now")

    def _stopped(self, seconds: float = 0.0) -> bool:
        """Whether the follower was stopped; waits for it at most so long."""
        return bool(select.select([self._stop[0]], [], [], seconds)[0])
