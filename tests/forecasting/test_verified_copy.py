"""The verified copy on disk: private, never half, refused when it is damaged or another user may change it."""

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import small_chain

from lockgate.bundle import store
from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken
from lockgate.operations import verified_copy
from lockgate.operations.load_version import Opened
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses

URL = "postgresql+psycopg2://anna@127.0.0.1:9/lockgate"
READERS, READS = 8, 3


@pytest.fixture
def version(tmp_path: Path) -> Opened:
    """A version whose files were verified just now."""
    digest = store.save(small_chain.forecaster(), tmp_path / "bundle")
    return Opened(3, digest, small_chain.forecaster(), {}, tmp_path / "bundle")


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    (tmp_path / ".lockgate").mkdir(mode=0o700)
    return Workspace(
        "chain-ensemble", Addresses("http://127.0.0.1:9", URL), Database(URL), "anna", 1.0, (), tmp_path / ".lockgate"
    )


@pytest.fixture
def copy(here: Workspace, version: Opened) -> Path:
    verified_copy.keep(here, version, ("a key",))
    found = verified_copy.place(here)
    assert found is not None
    return found


def test_the_copy_is_the_version_with_its_record(here: Workspace, version: Opened, copy: Path) -> None:
    record = verified_copy.peek(here)
    assert record is not None
    assert (record.model, record.version, record.digest) == ("chain-ensemble", 3, version.digest)
    assert (record.registry, record.trusted_keys) == (URL, ("a key",))
    assert [each.name for each in copy.parent.iterdir()] == [copy.name]


def test_without_a_copy_or_a_folder_there_is_none(here: Workspace) -> None:
    assert verified_copy.opened(here) is None
    assert verified_copy.opened(replace(here, home=None)) is None


@pytest.mark.parametrize("place", [0, 200, 3000, -10])
def test_a_flipped_byte_is_refused_before_anything_is_loaded(here: Workspace, version: Opened, place: int) -> None:
    verified_copy.keep(here, version, ())
    copy = verified_copy.place(here)
    assert copy is not None
    content = bytearray(copy.read_bytes())
    content[place] ^= 1
    copy.write_bytes(content)
    with pytest.raises(IntegrityBroken) as refusal:
        verified_copy.opened(here)
    assert refusal.value.exit_code == 7


def test_a_truncated_copy_and_a_changed_bundle_are_refused(here: Workspace, version: Opened) -> None:
    verified_copy.keep(here, version, ())
    copy = verified_copy.place(here)
    assert copy is not None
    copy.write_bytes(copy.read_bytes()[:-100])
    with pytest.raises(IntegrityBroken, match="is damaged"):
        verified_copy.opened(here)
    assert version.bundle is not None
    booster = version.bundle / "catboost.cbm"
    booster.write_bytes(booster.read_bytes()[:-1] + b"x")
    verified_copy.keep(here, version, ())
    with pytest.raises(IntegrityBroken, match="sha256 mismatch"):
        verified_copy.opened(here)


@pytest.mark.parametrize("above", range(4))
def test_a_copy_that_other_users_may_change_is_refused(here: Workspace, copy: Path, above: int) -> None:
    place = [copy, *copy.parents][above]
    place.chmod(place.stat().st_mode | 0o002)
    with pytest.raises(IntegrityBroken, match="may be changed by other users"):
        verified_copy.opened(here)


def test_a_link_in_place_of_the_copy_is_refused(here: Workspace, copy: Path) -> None:
    copy.rename(copy.with_name("elsewhere"))
    copy.symlink_to("elsewhere")
    with pytest.raises(IntegrityBroken, match="is a link"):
        verified_copy.opened(here)


def test_a_full_disk_leaves_the_earlier_copy_whole_and_nothing_beside_it(
    here: Workspace, version: Opened, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = copy.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        verified_copy.keep(here, replace(version, version=4), ())
    assert copy.read_bytes() == before
    assert [each.name for each in copy.parent.iterdir()] == [copy.name]


def test_readers_never_see_half_a_copy_while_it_is_replaced(here: Workspace, version: Opened) -> None:
    """A torn copy would be refused as damaged; each reader gets one of the versions that were kept, whole."""
    verified_copy.keep(here, version, ())
    seen: list[int] = []
    faults: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(READS):
                found = verified_copy.opened(here)
                assert found is not None
                seen.append(found[0].version)
        except BaseException as fault:  # noqa: BLE001 - shown by the assertion below
            faults.append(fault)

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    number = 3
    while any(reader.is_alive() for reader in readers):
        number += 1
        verified_copy.keep(here, replace(version, version=number), ())
    assert faults == []
    assert len(seen) == READERS * READS
    assert len(set(seen)) > 1
