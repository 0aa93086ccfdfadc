"""Whether a request comes from where it may: a page of another site must not use the server through a browser."""

from collections.abc import Mapping
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_foreign(server: tuple[str, int | None] | None, headers: Mapping[bytes, bytes]) -> bool:
    """Whether the headers name a host that this server is not, or a page of another host as the origin.

    A connection over the loopback must name the loopback: the name of a site may point there (DNS rebinding). Other
    addresses may have any name.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    if server and server[0] in LOOPBACK and _name(host) not in LOOPBACK:
        return True
    origin = headers.get(b"origin", b"").decode("latin-1")
    return bool(origin) and origin.partition("://")[2] != host


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
