"""The audit of requirements.lock finds a vulnerable pin, accepts one until a date, and never passes unasked."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import advisories
import pytest
import yaml

import audit

PROJECT = Path(__file__).parents[2]
AUDIT = PROJECT / "audit" / "audit.py"

TODAY = date(2026, 11, 28)
PIN = "urllib3==1.26.4 --hash=sha256:" + "0" * 64 + "\n"
FIXED = [{"introduced": "0"}, {"fixed": "1.26.17"}, {"introduced": "2.0.0"}, {"fixed": "2.0.6"}]


def advisory(package: str, name: str, events: list[dict[str, str]], **more: object) -> dict[str, object]:
    affected = {"package": {"name": package, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    now = datetime.now(UTC).isoformat()
    return {"id": name, "modified": now, "aliases": [f"CVE-of-{name}"], "affected": [affected]} | more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Advisories of two packages, one as YAML and one as JSON."""
    known = tmp_path / "advisories"
    known.mkdir()
    (known / "A-1.yaml").write_text(yaml.safe_dump(advisory("urllib3", "A-1", FIXED)))
    (known / "A-2.json").write_text(json.dumps(advisory("diskcache", "A-2", [{"introduced": "0"}])))
    return known


def run(folder: Path, lock: str | None, accepted: list[dict[str, object]]) -> subprocess.CompletedProcess[str]:
    place = folder.parent
    (place / "accepted.yaml").write_text(yaml.safe_dump(accepted))
    words = ["--advisories", str(folder), "--accepted", str(place / "accepted.yaml")]
    if lock is not None:
        (place / "lock.txt").write_text(lock)
        words += ["--lock", str(place / "lock.txt")]
    return subprocess.run([sys.executable, str(AUDIT), *words], capture_output=True, text=True, timeout=120)


def entry(until: date) -> dict[str, object]:
    return {"package": "urllib3", "id": "CVE-of-A-1", "until": until, "reason": "not reached"}


def test_a_vulnerable_pin_is_found_with_its_fix(folder: Path) -> None:
    ran = run(folder, PIN, [])
    assert ran.returncode == 4, ran.stderr
    assert "VULNERABLE: urllib3 1.26.4, A-1 CVE-of-A-1, fixed in 1.26.17, 2.0.6" in ran.stdout


def test_our_own_lock_is_read_in_whole_and_a_vulnerable_pin_of_it_is_found(folder: Path) -> None:
    ran = run(folder, None, [])
    assert ran.returncode == 4, ran.stderr
    assert "VULNERABLE: diskcache" in ran.stdout
    packages = int(ran.stdout.split()[-5])
    assert 200 < packages <= (PROJECT / "requirements.lock").read_text().count("==")


@pytest.mark.parametrize(("until", "code"), [(date(2999, 1, 1), 0), (date(2020, 1, 1), 4)])
def test_an_accepted_vulnerability_passes_until_its_date(folder: Path, until: date, code: int) -> None:
    ran = run(folder, PIN, [entry(until)])
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "not reached" in ran.stdout


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda known: (known / "A-1.yaml").unlink(), "does not know a vulnerability that every database has"),
        (lambda known: [file.unlink() for file in known.iterdir()], "no advisory in"),
        (lambda known: [age(file) for file in known.iterdir()], "the advisories end on 2024-01-02"),
    ],
    ids=["incomplete", "empty", "old"],
)
def test_a_source_that_cannot_know_is_no_audit(folder: Path, spoil, said: str) -> None:
    spoil(folder)
    ran = run(folder, "click==8.0.0 --hash=sha256:" + "0" * 64 + "\n", [])
    assert ran.returncode == 6
    assert said in ran.stderr


def age(file: Path) -> None:
    text = yaml.safe_load(file.read_text()) | {"modified": "2024-01-02T03:04:05Z"}
    file.write_text(json.dumps(text))


def test_a_service_that_does_not_answer_is_no_audit(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main(["--osv-url", "http://127.0.0.1:9/v1/query"]) == 6
    assert "NOT AUDITED: http://127.0.0.1:9/v1/query does not answer as OSV does" in capsys.readouterr().err


def test_an_entry_that_nothing_needs_is_named() -> None:
    idle = audit.Accepted("urllib3", "A-9", TODAY, "x")
    assert audit.findings([], [idle], TODAY) == (["not reported: urllib3, A-9: remove it from accepted.yaml"], True)


def test_an_entry_is_for_its_package_only() -> None:
    found = audit.Vulnerability("click", "8.0.0", frozenset({"A-1"}), ())
    assert not audit.findings([found], [audit.Accepted("urllib3", "A-1", TODAY, "x")], TODAY)[1]


@pytest.mark.parametrize(
    ("events", "version", "concerned"),
    [
        (FIXED, "1.26.16", True),
        (FIXED, "1.26.17", False),
        (FIXED, "2.0.0rc1", False),
        (FIXED, "2.0.5", True),
        (FIXED, "2.0.6", False),
        ([{"introduced": "1.2"}], "1.1", False),
        ([{"introduced": "1.2"}], "99", True),
        ([{"introduced": "0"}, {"last_affected": "3.1"}], "3.1", True),
        ([{"introduced": "0"}, {"last_affected": "3.1"}], "3.1.post1", False),
    ],
)
def test_a_range_holds_from_its_introduction_to_its_fix(
    events: list[dict[str, str]], version: str, concerned: bool
) -> None:
    found = advisories.Advisories({"urllib3": [advisory("urllib3", "A-1", events)]}, datetime.now(UTC))
    assert bool(found.of("URLlib3", version)) is concerned


def test_listed_versions_count_and_withdrawn_advisories_do_not() -> None:
    listed = {"package": {"name": "a.b", "ecosystem": "PyPI"}, "versions": ["1.0", "no version"]}
    of = {"id": "A-1", "affected": [listed]}
    known = advisories.Advisories({"a-b": [of]}, datetime.now(UTC))
    assert known.of("A_B", "1.0.0") == [of]
    assert known.of("A_B", "1.1") == []
    assert advisories.Advisories({"a-b": [of | {"withdrawn": "2024-01-01"}]}, datetime.now(UTC)).of("a.b", "1.0") == []


def test_every_accepted_vulnerability_has_a_reason_and_is_judged_again_within_a_year() -> None:
    for each in audit.read_accepted(audit.ACCEPTED):
        assert len(each.reason) > 50
        assert each.until < date(2027, 12, 31)
        assert f"{each.package}==" in (PROJECT / "requirements.lock").read_text()


def test_the_cache_of_states_of_dvc_is_in_a_private_folder() -> None:
    """The reason why the pickles of diskcache are accepted."""
    recipe = (PROJECT / "Makefile").read_text()
    assert 'site_cache_dir = "%s"' in recipe
    assert '"$(CURDIR)/.lockgate/dvc"' in recipe
    assert "mkdir -p -m 700 .lockgate" in recipe
