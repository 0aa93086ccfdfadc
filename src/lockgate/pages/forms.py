"""What a form sends, and whether it comes from a page of this site."""

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from lockgate.pages.refusals import NotAllowed

LARGEST = 32_768  # bytes of a form: a reason has 2000 characters at most, which are 12 bytes each in the worst case
SECONDS = 10.0  # for the whole form
COOKIE = "lockgate_session"
SESSION = re.compile("[0-9a-f]{64}")
TOKEN_FIELD = "csrf"  # noqa: S105 - the name of a field
SITE_HEADER = "sec-fetch-site"


@dataclass(frozen=True)
class Fields:
    """The fields of a form or of a query, by name; the last one of a name counts."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, text: str) -> "Fields":
        """The fields in a query or a form's body."""
        return cls(dict(parse_qsl(text, keep_blank_values=True)))

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "").strip()


def session(cookies: Mapping[str, str]) -> str:
    """The session of the browser, or a new one."""
    found = cookies.get(COOKIE, "")
    return found if SESSION.fullmatch(found) else secrets.token_hex(32)


def token(session: str, visitor: str) -> str:
    """The token of the forms of a visitor in a session. A page of another site cannot read the cookie behind it."""
    return hmac.new(session.encode(), f"lockgate forms of {visitor}".encode(), "sha256").hexdigest()


def require_own(
    headers: Mapping[str, str], cookies: Mapping[str, str], sent: Fields, visitor: str, allowed: str
) -> None:
    """Raise NotAllowed unless the form is of a page of this site, in a session of this visitor.

    `allowed` are the other origins that MLflow's server accepts, separated by commas; a pattern counts for nothing.
    """
    origin = headers.get("origin", "")
    named = {each.strip() for each in allowed.split(",")} - {"", "null"}
    own = bool(origin) and (urlsplit(origin).netloc == headers.get("host", "") or origin in named)
    if not own or headers.get(SITE_HEADER, "same-origin") != "same-origin":
        raise NotAllowed(
            "the form was not sent from a page of this server" + (f", but from {origin[:200]}" if origin else ""),
            hint="open the page here and send its form; a script uses the command line: lockgate",
        )
    known = cookies.get(COOKIE, "")
    expected = token(known, visitor)
    if not SESSION.fullmatch(known) or not hmac.compare_digest(expected.encode(), sent[TOKEN_FIELD].encode()):
        raise NotAllowed("the form is of another session", hint="load the page again, and send its form")
