"""Tells others about an alert: a webhook gets JSON by POST, a command gets the same JSON on its standard input."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from lockgate.errors import WrongUsage
from lockgate.monitoring.monitored import Monitored

SUCCESS = range(200, 300)


@dataclass(frozen=True)
class Receivers:
    """An address and a command, each may be missing, and the seconds that each of them may take."""

    webhook: str | None
    command: tuple[str, ...]
    timeout: float

    @classmethod
    def of(cls, webhook: str | None, command: str | None, timeout: float) -> "Receivers":
        """The receivers by their options. Raises WrongUsage for an address or a command that cannot be used."""
        if webhook and not _is_address(webhook):
            raise WrongUsage("the webhook is no http or https address", hint="such as https://example.org/alerts")
        return cls(webhook, _words(command), timeout)


def _is_address(text: str) -> bool:
    """Whether a text is an address of http or https; its port, if it has one, is a number."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _words(command: str | None) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(command or ""))
    except ValueError as error:
        raise WrongUsage(f"the command of --on-alert cannot be read: {error}") from error
    if command is not None and not words:
        raise WrongUsage("the command of --on-alert is empty")
    return words


def message(found: Monitored) -> bytes:
    """The alert as JSON; `text` is the whole of it in a sentence, as chat services take it."""
    firing = [{"rule": rule.name, "says": rule.says} for rule in found.findings.firing]
    names = ", ".join(rule.name for rule in found.findings.firing)
    version = found.findings.production.version
    content = {
        "text": f"{found.model}, version {version}: {names} fired; next: {found.advice.command}",
        "model": found.model,
        "version": version,
        "at": found.windows.now.isoformat(timespec="seconds"),
        "firing": firing,
        "next": found.advice.command,
        "why": found.advice.why,
    }
    return json.dumps(content).encode()


def send(receivers: Receivers, content: bytes) -> Iterator[str]:
    """Send an alert to each receiver; the failures as sentences, which name the host of an address and no secret."""
    if receivers.webhook and (failure := _post(receivers.webhook, content, receivers.timeout)):
        yield f"the webhook at {urlsplit(receivers.webhook).hostname} did not take the alert: {failure}"
    if receivers.command and (failure := _run(receivers.command, content, receivers.timeout)):
        yield f"the command {receivers.command[0]} did not take the alert: {failure}"


def _post(address: str, content: bytes, timeout: float) -> str:
    """Why the address did not take the content; "" if it did. A redirection is not followed."""
    parts = urlsplit(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, content, {"Content-Type": "application/json"})
        status = connection.getresponse().status
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    except (HTTPException, ValueError) as error:
        return type(error).__name__  # its message may hold the path
    finally:
        connection.close()
    return "" if status in SUCCESS else f"HTTP status {status}"


def _run(words: tuple[str, ...], content: bytes, timeout: float) -> str:
    """Why the command did not take the content; "" if it ended with exit code 0. No shell reads the words."""
    try:
        ended = subprocess.run(words, input=content, capture_output=True, timeout=timeout, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"it did not end within {timeout:g} s"
    except OSError as error:
        return str(error.strerror)
    return "" if ended.returncode == 0 else f"it ended with exit code {ended.returncode}"
