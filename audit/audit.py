"""Audits requirements.lock: which pinned packages have a known vulnerability?

    python audit/audit.py                            asks api.osv.dev
    python audit/audit.py --advisories FOLDER        reads a folder of advisories: no network is needed

pip-audit asks for each package. Exit codes: 0 none but accepted ones, 4 vulnerabilities, 6 not audited (no service
answers, or the advisories are old).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import advisories
import requests
import yaml

HERE = Path(__file__).parent
LOCK = HERE.parent / "requirements.lock"
ACCEPTED = HERE / "accepted.yaml"
OSV = "https://api.osv.dev/v1/query"
# Every source of advisories knows that this release is vulnerable (CVE-2023-43804): a source without it is none.
KNOWN_TO_BE_VULNERABLE: dict[str, Any] = {"package": {"name": "urllib3", "ecosystem": "PyPI"}, "version": "1.26.4"}
OLDEST = timedelta(days=30)
SECONDS = 15  # for one answer
VULNERABLE, NOT_AUDITED = 4, 6


class NotAudited(Exception):
    """The audit could not be made; the message says why."""


@dataclass(frozen=True)
class Vulnerability:
    """A vulnerability of a pinned package. `names` are its identifiers in all databases."""

    package: str
    version: str
    names: frozenset[str]
    fixed_in: tuple[str, ...]


@dataclass(frozen=True)
class Accepted:
    """A vulnerability that is known and does no harm here until a date, with the reason."""

    package: str
    id: str
    until: date
    reason: str


def findings(found: Sequence[Vulnerability], accepted: Sequence[Accepted], today: date) -> tuple[list[str], bool]:
    """One line for each vulnerability and each entry that is no longer needed, and whether all are accepted."""
    lines, clean = [], True
    for each in found:
        entry = next((one for one in accepted if one.package == each.package and one.id in each.names), None)
        clean = clean and entry is not None and today <= entry.until
        lines.append(f"{_state(entry, today)}: {_described(each)}" + (f": {entry.reason}" if entry else ""))
    reported = {(each.package, name) for each in found for name in each.names}
    idle = [each for each in accepted if (each.package, each.id) not in reported]
    return lines + [f"not reported: {each.package}, {each.id}: remove it from {ACCEPTED.name}" for each in idle], clean


def _state(entry: Accepted | None, today: date) -> str:
    if entry is None:
        return "VULNERABLE"
    return f"accepted until {entry.until}" if today <= entry.until else f"EXPIRED on {entry.until}"


def _described(found: Vulnerability) -> str:
    fixed = f"fixed in {', '.join(found.fixed_in)}" if found.fixed_in else "no release fixes it"
    return f"{found.package} {found.version}, {' '.join(sorted(found.names))}, {fixed}"


def read_accepted(path: Path) -> list[Accepted]:
    """The accepted vulnerabilities of a file."""
    return [Accepted(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []]


@contextmanager
def source(folder: Path | None, url: str) -> Iterator[str]:
    """The address that answers. Raises NotAudited if it does not know what it must know, or if the folder is old."""
    if folder is None:
        _require_known(url)
        yield url
        return
    try:
        known = advisories.read(folder)
    except ValueError as error:
        raise NotAudited(str(error)) from error
    print(f"advisories of {folder}, the newest of {known.as_of:%Y-%m-%d}")
    with advisories.served(known) as address:
        _require_known(address)
        yield address
    if datetime.now(UTC) - known.as_of > OLDEST:
        raise NotAudited(f"the advisories end on {known.as_of:%Y-%m-%d}, and later ones are unknown")


def _require_known(url: str) -> None:
    try:
        answer = requests.post(url, json=KNOWN_TO_BE_VULNERABLE, timeout=SECONDS)
        answer.raise_for_status()
        knows = bool(answer.json().get("vulns"))
    except (requests.RequestException, ValueError, AttributeError) as error:
        raise NotAudited(f"{url} does not answer as OSV does ({type(error).__name__})") from error
    if not knows:
        raise NotAudited(f"{url} does not know a vulnerability that every database has")


def vulnerabilities(lock: Path, url: str) -> tuple[int, list[Vulnerability]]:
    """How many packages of the lock file are for this platform, and the vulnerabilities that pip-audit finds."""
    with tempfile.TemporaryDirectory() as cache:
        ran = subprocess.run(  # noqa: S603 - a fixed program
            [
                *(sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"),
                *("--vulnerability-service", "osv", "--osv-url", url, "--format", "json", "--desc", "off"),
                *("--progress-spinner", "off", "--cache-dir", cache, "--timeout", str(SECONDS)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except ValueError as error:
        raise NotAudited(f"pip-audit: {ran.stderr.strip()[-500:]}") from error
    skipped = [each["name"] for each in packages if "version" not in each]
    if skipped:
        raise NotAudited(f"pip-audit skipped {', '.join(skipped)}")
    return len(packages), [_vulnerability(each, one) for each in packages for one in each["vulns"]]


def _vulnerability(package: Mapping[str, Any], found: Mapping[str, Any]) -> Vulnerability:
    names = frozenset([found["id"], *found["aliases"]])
    return Vulnerability(package["name"], package["version"], names, tuple(found["fix_versions"]))


def main(words: Sequence[str]) -> int:
    """Print the result of the audit; returns the exit code."""
    parser = argparse.ArgumentParser(description="Audit requirements.lock for known vulnerabilities.")
    parser.add_argument("--advisories", type=Path, help="a folder of advisories in the OSV format")
    parser.add_argument("--osv-url", default=OSV, help="another address that answers as OSV does")
    parser.add_argument("--lock", type=Path, default=LOCK)
    parser.add_argument("--accepted", type=Path, default=ACCEPTED)
    given = parser.parse_args(words)
    clean = True
    try:
        with source(given.advisories, given.osv_url) as url:
            packages, found = vulnerabilities(given.lock, url)
            lines, clean = findings(found, read_accepted(given.accepted), datetime.now(UTC).date())
            print("\n".join([*lines, f"{packages} packages of {given.lock.name} audited"]))
    except NotAudited as reason:
        print(f"NOT AUDITED: {reason}", file=sys.stderr)
        return NOT_AUDITED if clean else VULNERABLE
    return 0 if clean else VULNERABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
