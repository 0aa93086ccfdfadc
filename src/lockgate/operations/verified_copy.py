"""The verified copy: the last version that was verified in Production, kept in `.lockgate` for an unavailable registry.

The copy is one file, replaced in one step, so a reader never sees half of it. Its bundle is verified by digest and
signature at each use, as one from the registry is.
"""

import json
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

from lockgate.bundle import signing, store
from lockgate.errors import IntegrityBroken, Unavailable
from lockgate.operations.load_version import Opened
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import masked

FOLDER = "verified"
FILE = "production.zip"
RECORD = "record.json"
BUNDLE = "bundle/"
LONGEST_AGE = timedelta(days=7)
CLOCK_TOLERANCE = timedelta(minutes=5)
LARGEST_RECORD = 1 << 16
LEFTOVER_SECONDS = 3600  # then a partial file is that of a killed process
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
REMOVE = "remove it; the next forecast with the registry makes a new one"


@dataclass(frozen=True)
class Record:
    """The version of a copy, the database of its registry, when it was verified, and the keys that were trusted then.

    `trusted_keys` are those of the policy in force; params.yaml's are checked beside them.
    """

    model: str
    version: int
    digest: str
    registry: str
    verified_at: datetime
    trusted_keys: tuple[str, ...]


def place(workspace: Workspace) -> Path | None:
    """The file of the copy; None if the workspace keeps none."""
    return workspace.home / FOLDER / workspace.model / FILE if workspace.home else None


def keep(workspace: Workspace, version: Opened, trusted_keys: tuple[str, ...]) -> None:
    """Keep a version that was verified just now, in place of the earlier copy.

    After an OSError, such as a full disk, the earlier copy is whole.
    """
    path = place(workspace)
    if path is None or version.bundle is None:
        return
    record = Record(
        workspace.model, version.version, version.digest, _registry(workspace), datetime.now(UTC), trusted_keys
    )
    _make_private(path.parent)
    _remove_leftovers(path.parent)
    with _replacing(path) as partial:
        _write(partial, record, version.bundle)


def peek(workspace: Workspace) -> Record | None:
    """The record of the copy; None if there is none that can be read. For a look before the registry is asked."""
    try:
        with _packed(place(workspace)) as packed:
            return _record(packed)
    except (OSError, IntegrityBroken):
        return None


def opened(
    workspace: Workspace, longest_age: timedelta = LONGEST_AGE, copy_to: Path | None = None
) -> tuple[Record, Opened] | None:
    """The copy, ready to forecast; None if there is none. Its files are also copied into the new folder `copy_to`.

    Raises IntegrityBroken for a copy that other users may change, that is damaged, of another model or registry, or
    signed by no trusted key; Unavailable for a copy that is older than `longest_age`.
    """
    try:
        with _packed(place(workspace)) as packed, tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
            record, bundle = _record(packed), Path(folder, "bundle")
            _refuse_foreign(record, workspace)
            _refuse_old(record, longest_age)
            _extract(packed, bundle)
            for trusted in (workspace.trusted_keys, record.trusted_keys):
                signing.require(bundle, record.digest, trusted)
            forecaster = store.load(bundle, record.digest)
            if copy_to:
                shutil.copytree(bundle, copy_to)
            return record, Opened(record.version, record.digest, forecaster, store.probe_rows(bundle))
    except FileNotFoundError:
        return None


def _registry(workspace: Workspace) -> str:
    """The mark of a registry: the address of its database, without the password."""
    return masked(workspace.addresses.database_url)


def _refuse_foreign(record: Record, workspace: Workspace) -> None:
    for found, wanted in ((record.model, workspace.model), (record.registry, _registry(workspace))):
        if found != wanted:
            raise IntegrityBroken(f"the verified copy is of {found}, not of {wanted}", hint=REMOVE)


def _refuse_old(record: Record, longest_age: timedelta) -> None:
    now = datetime.now(UTC)
    about = f"the verified copy of version {record.version}"
    if record.verified_at - now > CLOCK_TOLERANCE:
        raise Unavailable(f"{about} is from the future: {record.verified_at:%F %T} UTC", hint="check the clock")
    if now - record.verified_at > longest_age:
        raise Unavailable(
            f"{about} is {in_words(now - record.verified_at)} old, and {in_words(longest_age)} are allowed",
            hint="bring the registry back, or allow an older copy: --fallback-days",
        )


@contextmanager
def _packed(path: Path | None) -> Iterator[zipfile.ZipFile]:
    """The open file of a copy.

    Raises FileNotFoundError without one, IntegrityBroken if it is damaged or others may change it.
    """
    if path is None:
        raise FileNotFoundError
    _refuse_changeable(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        try:
            with zipfile.ZipFile(file) as packed:
                yield packed
        except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError) as error:
            raise IntegrityBroken("the verified copy is damaged", where=str(path), hint=REMOVE) from error


def _refuse_changeable(path: Path) -> None:
    """Raise IntegrityBroken if another user may change the file or its folders: its record could be forged."""
    for each in (path, path.parent, path.parent.parent, path.parents[2]):
        status = each.lstat()
        plain = stat.S_ISREG(status.st_mode) if each == path else stat.S_ISDIR(status.st_mode)
        if not plain or status.st_uid != os.geteuid() or status.st_mode & OTHERS_WRITE:
            what = "is a link or no file" if not plain else "may be changed by other users"
            raise IntegrityBroken(
                f"the verified copy {what}", where=str(each), hint=f"check who changed it, then {REMOVE}"
            )


def _record(packed: zipfile.ZipFile) -> Record:
    if packed.getinfo(RECORD).file_size > LARGEST_RECORD:
        raise ValueError(RECORD)
    found = json.loads(packed.read(RECORD))
    return Record(
        str(found["model"]),
        int(found["version"]),
        str(found["digest"]),
        str(found["registry"]),
        datetime.fromisoformat(found["verified_at"]),
        tuple(map(str, found["trusted_keys"])),
    )


def _extract(packed: zipfile.ZipFile, bundle: Path) -> None:
    bundle.mkdir()
    for name in packed.namelist():
        own = name.removeprefix(BUNDLE)
        if name == RECORD:
            continue
        if name == own or not own or "/" in own or own.startswith("."):
            raise ValueError(name)
        (bundle / own).write_bytes(packed.read(name))


def _write(partial: Path, record: Record, bundle: Path) -> None:
    with partial.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
            text = asdict(record) | {"verified_at": record.verified_at.isoformat()}
            packed.writestr(RECORD, json.dumps(text, indent=1))
            for each in sorted(bundle.iterdir()):
                packed.writestr(f"{BUNDLE}{each.name}", each.read_bytes())
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A new file that only this user may read. It replaces `path` at the end; after an error it is deleted."""
    descriptor, name = tempfile.mkstemp(prefix=f".{FILE}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _make_private(folder: Path) -> None:
    for each in (folder.parent.parent, folder.parent, folder):
        each.mkdir(mode=0o700, exist_ok=True)
    for each in (folder.parent, folder):
        each.chmod(0o700)


def _remove_leftovers(folder: Path) -> None:
    for partial in folder.glob(f".{FILE}.*.part"):
        with suppress(FileNotFoundError):
            if time() - partial.stat().st_mtime > LEFTOVER_SECONDS:
                partial.unlink()


def in_words(span: timedelta) -> str:
    """A span of time in its largest unit, such as 3 h."""
    seconds = max(0, round(span.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
