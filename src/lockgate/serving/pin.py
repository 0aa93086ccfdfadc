"""The version that a request names by its header `X-Lockgate-Version`, so that a client sees one version in a switch.

The version before a switch is kept for a bounded time. It is never one that a rollback took out of the stage, and
never one that was not in the stage: the header is no way around the gate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from lockgate.lifecycle.model_state import ModelState
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.refusals import Refused

HEADER = b"x-lockgate-version"
DIGITS = 9  # of a version
KEPT_SECONDS = 60.0


@dataclass(frozen=True)
class Pinning:
    """Whether a request may name its version, and for how many seconds the version before a switch is kept."""

    allowed: bool = True
    seconds: float = KEPT_SECONDS


@dataclass(frozen=True)
class Previous:
    """The version before the last switch; it answers until this time of the monotonic clock."""

    live: LiveVersion
    until: float

    @property
    def seconds_left(self) -> float:
        """The rest of its time; 0 when it is over."""
        return max(0.0, self.until - monotonic())


def asked_for(headers: Mapping[bytes, bytes], pinning: Pinning) -> int | None:
    """The version that a request names, or None. Raises Refused for a header that is no version, or not allowed."""
    given = headers.get(HEADER)
    if given is None:
        return None
    if not pinning.allowed:
        raise Refused(400, "this server lets no request name its version", "leave out X-Lockgate-Version")
    if not given.isdigit() or len(given) > DIGITS:
        raise Refused(400, "X-Lockgate-Version is no number of a version", "write it as X-Lockgate-Version: 7")
    return int(given)


def chosen(held: Sequence[LiveVersion], version: int) -> LiveVersion:
    """The version with this number among those that the server holds. Raises Refused with the numbers of those."""
    found = next((live for live in held if live.version == version), None)
    if found is None:
        numbers = [live.version for live in held]
        said = f"this server answers by version {' and '.join(map(str, numbers))}, and the request names another one"
        raise Refused(409, said, "ask again without X-Lockgate-Version, or with one of `versions`", versions=numbers)
    return found


def kept(before: LiveVersion | None, after: LiveVersion, state: ModelState, pinning: Pinning) -> Previous | None:
    """The version before a switch as it is kept, in the stage that it has now; None if it may not be kept."""
    if before is None or before.version == after.version or before.degraded or not pinning.allowed:
        return None
    found = Previous(before, monotonic() + pinning.seconds)
    if not may_answer(found, state):
        return None
    return replace(found, live=replace(before, stage=state.find(before.version).stage))


def may_answer(previous: Previous, state: ModelState) -> bool:
    """Whether the kept version is in its time, still registered with these files, and in no quarantine."""
    live = previous.live
    registered = any((each.version, each.bundle_digest) == (live.version, live.digest) for each in state.versions)
    return bool(previous.seconds_left) and registered and not state.quarantined(live.version)
