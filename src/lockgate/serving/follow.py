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
from lockgate.lifecycle.model_state import ModelState
from lockgate.lifecycle.stages import Stage
from lockgate.operations.answering_version import FallbackTerms
from lockgate.operations.workspace import Workspace
from lockgate.serving import live_version, pin
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


@dataclass
class Follower:
    """A thread that keeps the board as the registry says.

    `first_share` is the share of the canary with which the server was started; it is put in force when the registry
    answers for the first time. None leaves the share that is in force.
    """

    workspace: Workspace
    followed: Followed
    board: Board
    metrics: Metrics
    first_share: int | None = None
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

    def check_at_start(self) -> None:
        """Load a shadow or a canary before the port opens; behind a fallback, the registry is not awaited again."""
        served = self.board.routes.served
        if served and served.degraded:
            self.board.unreachable = served.degraded
            return
        try:
            self.check()
        except Unavailable as refusal:
            self._cannot_follow(refusal)
        for role, stage in self.followed.stages.items():
            if getattr(self.board.routes, role) is None:
                tell(f"no version is in {stage} yet: the {role} begins with the first one")

    def check(self) -> None:
        """Bring the board to what the registry says now. Raises Unavailable if it does not answer."""
        state = self.workspace.state()
        self._forget_previous(state)
        for role, stage in self.followed.stages.items():
            self._follow(role, stage, state)
        if self.followed.canary:
            self._put_first_share(self.followed.canary)
            self._share(self.followed.canary)

    def _run(self) -> None:
        while not self._stopped():
            self._forget_previous()
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
            listener.wait(self._pause(), [self._stop[0]])

    def _cannot_follow(self, refusal: LockgateError) -> None:
        if self.board.unreachable != str(refusal):
            tell(f"warning: the stage cannot be followed: {refusal}; the version in memory goes on")
        self.board.unreachable = str(refusal)

    def _pause(self) -> float:
        """Seconds until the next look at the registry: the time of a kept version may end earlier."""
        previous = self.board.routes.previous
        return min(POLL_SECONDS, previous.seconds_left) if previous else POLL_SECONDS

    def _forget_previous(self, state: ModelState | None = None) -> None:
        """Drop the version before the last switch when its time is over, or when the registry speaks against it."""
        previous = self.board.routes.previous
        if previous and not (pin.may_answer(previous, state) if state else previous.seconds_left):
            self.board.change(previous=None)
            tell(f"version {previous.live.version} answers no request any more")

    def _follow(self, role: str, stage: Stage, state: ModelState) -> None:
        place = live_version.in_stage(state, stage)
        now: LiveVersion | None = getattr(self.board.routes, role)
        if place is None:
            if now is not None:
                tell(f"no version is in {stage} any more{'; requests are refused' if role == 'served' else ''}")
                self.board.change(**{role: None}, **({"previous": None} if role == "served" else {}))
        elif now is None or (now.version, now.digest) != (place.version, place.digest) or now.degraded:
            self._switch(role, stage, place, state)

    def _switch(self, role: str, stage: Stage, place: Place, state: ModelState) -> None:
        if place in self._failures and monotonic() < self._failures[place] + AGAIN_SECONDS:
            return
        if role == "served":  # three versions in memory are one too many
            self.board.change(previous=None)
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
        self._put(role, live, state)
        self.metrics.switches.inc()
        tell(f"version {live.version} ({stage}) {'answers now' if role == 'served' else f'is the {role} now'}")

    def _put(self, role: str, live: LiveVersion, state: ModelState) -> None:
        """Replace the version of a role; the one that answered so far is kept for requests that name it."""
        if role != "served":
            self.board.change(**{role: live})
            return
        self.board.change(served=live, previous=pin.kept(self.board.routes.served, live, state, self.board.pinning))

    def _failed(self, stage: Stage, place: Place, reason: str) -> None:
        self._failures[place] = monotonic()
        self.metrics.failed_switches.inc()
        self.board.failed = FailedSwitch(str(stage), place.version, reason, datetime.now(UTC))
        tell(f"warning: version {place.version} in {stage} cannot be loaded, the one before it goes on: {reason}")

    def _put_first_share(self, stage: Stage) -> None:
        if self.first_share is not None:
            said = (self.workspace.actor, "lockgate serve --canary")
            serving_shares.set_share(self.workspace.database, self.workspace.model, stage, self.first_share, said)
            self.first_share = None

    def _share(self, stage: Stage) -> None:
        found = serving_shares.shares(self.workspace.database, self.workspace.model)
        share = next((each.share for each in reversed(found) if each.stage == stage), None)
        if share is not None and share != self.board.routes.share:
            self.board.change(share=share)
            tell(f"the share of the canary ({stage}) is {share} % now")

    def _stopped(self, seconds: float = 0.0) -> bool:
        """Whether the follower was stopped; waits for it at most so long."""
        return bool(select.select([self._stop[0]], [], [], seconds)[0])
