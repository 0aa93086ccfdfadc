"""Answers OSV's query for vulnerabilities of a package from a folder of advisories, without a network.

The folder holds files in the OSV format, as YAML or JSON: a clone of github.com/pypa/advisory-database, or OSV's
all.zip of the ecosystem PyPI, unpacked.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

Advisory = Mapping[str, Any]
OLDEST = Version("0")


@dataclass(frozen=True)
class Advisories:
    """Advisories by canonical name of the package, and the time of the newest change of one."""

    by_package: Mapping[str, list[Advisory]]
    as_of: datetime

    def of(self, package: str, version: str) -> list[Advisory]:
        """The advisories that say that this version of the package is vulnerable."""
        name = canonicalize_name(package)
        return [each for each in self.by_package.get(name, []) if _concerns(each, name, Version(version))]


def read(folder: Path) -> Advisories:
    """All advisories below the folder. Raises ValueError if there is none."""
    found: dict[str, list[Advisory]] = defaultdict(list)
    changed = []
    for path in sorted(folder.rglob("*")):
        advisory = _parsed(path)
        if not isinstance(advisory, dict) or "id" not in advisory or "modified" not in advisory:
            continue
        changed.append(datetime.fromisoformat(str(advisory["modified"])))
        for name in {canonicalize_name(each["package"]["name"]) for each in advisory.get("affected", [])}:
            found[name].append(advisory)
    if not changed:
        raise ValueError(f"no advisory in {folder}")
    return Advisories(found, max(changed))


def _parsed(path: Path) -> Any:
    """The content of an advisory's file; a date stays a text. None for every other file."""
    if path.suffix == ".json":
        return json.loads(path.read_bytes())
    if path.suffix == ".yaml":
        return yaml.load(path.read_bytes(), yaml.CBaseLoader)  # noqa: S506 - texts, lists and mappings only
    return None


def _concerns(advisory: Advisory, name: str, version: Version) -> bool:
    if advisory.get("withdrawn"):
        return False
    return any(
        _listed(affected, version) or any(_in_range(each, version) for each in affected.get("ranges", []))
        for affected in advisory.get("affected", [])
        if canonicalize_name(affected["package"]["name"]) == name and affected["package"]["ecosystem"] == "PyPI"
    )


def _listed(affected: Mapping[str, Any], version: Version) -> bool:
    return any(_version(text) == version for text in affected.get("versions", []))


def _in_range(span: Mapping[str, Any], version: Version) -> bool:
    """Whether the last event up to the version is the introduction: the rule of the OSV schema."""
    if span["type"] != "ECOSYSTEM":
        return False
    holds = False
    events = [(found, kind) for event in span["events"] for kind, text in event.items() if (found := _version(text))]
    for at, kind in sorted(events):
        if kind == "introduced" and version >= at:
            holds = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            holds = False
    return holds


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return OLDEST if text == "0" else None


@contextmanager
def served(advisories: Advisories) -> Iterator[str]:
    """The address on which the advisories are answered, on this machine only."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = advisories.of(asked["package"]["name"], asked["version"])
            body = json.dumps({"vulns": found} if found else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gives
            """No line for each package."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
