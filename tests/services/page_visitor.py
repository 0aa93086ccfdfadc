"""A visitor of the pages without a browser: loads a page, sends its form, follows nothing."""

import html
import re
from typing import Any
from urllib.parse import urlsplit

import requests

FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
ALERT = re.compile(r'role="alert">\s*<p><strong>(.*?)</strong>.*?</p>(?:\s*<p>(.*?)</p>)?', re.DOTALL)


class Visitor:
    """One session of a browser on the pages of a server, with or without a login."""

    def __init__(self, tracking_uri: str, login: tuple[str, str] | None = None) -> None:
        self.address = tracking_uri
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = login
        self.fields: dict[str, str] = {}

    def get(self, path: str, **query: object) -> requests.Response:
        """Load a page below /lockgate, and keep the hidden fields of its forms."""
        reply = self.session.get(f"{self.address}/lockgate{path}", params=query, timeout=30)
        self.fields = {name: html.unescape(value) for name, value in FIELD.findall(reply.text)}
        return reply

    def send(self, path: str, headers: dict[str, Any] | None = None, **fields: str) -> requests.Response:
        """Send the form of the page that was loaded last, with these fields, as a browser does."""
        sent = {"Origin": self.address, "Sec-Fetch-Site": "same-origin"} | (headers or {})
        return self.session.post(
            f"{self.address}/lockgate{path}",
            data=self.fields | fields,
            headers={name: value for name, value in sent.items() if value is not None},
            allow_redirects=False,
            timeout=180,
        )


def alert(reply: requests.Response) -> tuple[str, str]:
    """The refusal on a page, and its hint."""
    found = ALERT.search(reply.text)
    return (html.unescape(found[1]), html.unescape(found[2] or "")) if found else ("", "")


def goes_to(reply: requests.Response) -> str:
    """The path to which an answer redirects."""
    assert reply.status_code == 303, reply.text
    found = urlsplit(reply.headers["Location"])
    return f"{found.path}?{found.query}"
