"""A request that waits for its answer, and the answer."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

CALLER_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
Header = tuple[bytes, bytes]
JSON: Header = (b"content-type", b"application/json")


@dataclass(frozen=True)
class Reply:
    """An answer of the server. `explained` makes the body with explanations, if the request asks for them."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = ()
    explained: Callable[[], bytes] | None = None


@dataclass(frozen=True, eq=False)
class Waiting:
    """A request whose body was received; `deliver` is called once with its reply. `version`: the one that it names."""

    body: bytes
    content_type: str
    caller_id: str | None
    deliver: Callable[[Reply], None]
    version: int | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    since: float = field(default_factory=monotonic)


def caller_id(given: bytes | None) -> str | None:
    """The caller's own id of its request; None for one with other characters or more than 128."""
    return given.decode() if given and CALLER_ID.fullmatch(given) else None
