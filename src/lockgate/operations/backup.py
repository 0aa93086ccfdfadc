"""`lockgate backup`: the database as of one moment and the files of its models, in one folder with digests.

The database comes first: MLflow only adds files, and those of registered versions are never changed, so files that are
copied later include every file that the database names. The folder gets its name when it is whole.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from lockgate import __version__
from lockgate.database import libpq, snapshot
from lockgate.database.connection import Database
from lockgate.database.snapshot import Contents
from lockgate.errors import (
    AccessRefused,
    BadConfiguration,
    LockgateError,
    StateConflict,
    StorageFailed,
    Unavailable,
    WrongUsage,
)
from lockgate.operations.backup_manifest import ARTIFACTS, DUMP, NAME, KeptFile, Manifest
from lockgate.system import postgres_programs

CHUNK = 1 << 20
LOCK_WAIT_SECONDS = 60
Tell = Callable[[str, int, int], None]  # name of the step, bytes done, bytes in all


@dataclass(frozen=True)
class Source:
    """What is backed up: the database, and the folder of MLflow's artifacts, if they are in one.

    `elsewhere`: the artifacts are in a store that has a backup of its own.
    """

    database_url: str
    timeout: float
    artifacts: Path | None
    elsewhere: bool = False


def take(source: Source, target: Path, tell: Tell) -> Manifest:
    """Make the backup; `target` must not exist, or be an empty folder. Raises StateConflict if it holds files.

    A version whose files are missing does not stop it, or there would be no backup from then on: the manifest names it.
    """
    refuse_used(target)
    refuse_inside(target, source.artifacts)
    database = Database(source.database_url, source.timeout)
    with snapshot.exported(database) as (name, contents):
        place = place_of_artifacts(source, contents)
        with _draft_beside(target) as draft:
            files = {DUMP: _dump(source, contents, name, draft / DUMP)}
            if source.artifacts and place == "folder":
                files |= _copy(source.artifacts, draft / ARTIFACTS, tell)
            manifest = _manifest(contents, place, files)
            _write(draft / NAME, manifest.text())
            _name(draft, target)
    return manifest


def plan(source: Source, target: Path) -> Contents:
    """What a backup would hold; nothing is written."""
    refuse_used(target)
    refuse_inside(target, source.artifacts)
    with snapshot.exported(Database(source.database_url, source.timeout)) as (_, contents):
        place_of_artifacts(source, contents)
        postgres_programs.fitting("pg_dump", contents.postgres)
    return contents


def refuse_used(target: Path) -> None:
    """Raise StateConflict for a target with files, and StorageFailed if the folder above it is missing."""
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise StateConflict("there are files already", where=str(target), hint="name a new folder")
    if not target.absolute().parent.is_dir():
        raise StorageFailed("the folder above does not exist", where=str(target), hint="make it first")


def refuse_inside(target: Path, artifacts: Path | None) -> None:
    """Raise WrongUsage for a target in the folder that is backed up: a restore with --replace would delete it."""
    if artifacts and target.resolve().is_relative_to(artifacts.resolve()):
        raise WrongUsage(f"{target} is in the folder of the artifacts", hint="name a folder elsewhere")


def place_of_artifacts(source: Source, contents: Contents) -> str:
    """Where the artifacts are: `folder`, `database` or `elsewhere`. Raises BadConfiguration if nothing says so."""
    if source.elsewhere:
        return "elsewhere"
    if contents.has_artifacts:
        return "database"
    if source.artifacts is None:
        raise BadConfiguration(
            "nothing says where MLflow keeps the files of models",
            hint="name their folder: --artifacts FOLDER; or, if the store has a backup of its own: --no-artifacts",
        )
    if not source.artifacts.is_dir():
        raise BadConfiguration("the folder of the artifacts does not exist", where=str(source.artifacts))
    return "folder"


def _dump(source: Source, contents: Contents, name: str, path: Path) -> KeptFile:
    program = postgres_programs.fitting("pg_dump", contents.postgres)
    words = [program, "--format=custom", f"--snapshot={name}", f"--lock-wait-timeout={LOCK_WAIT_SECONDS}s"]
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(  # noqa: S603 - Postgres's own program, no shell
            [*words, f"--dbname={libpq.KEEPALIVES}"],
            env=libpq.environment(source.database_url, source.timeout),
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process:
            try:
                kept = _write_chunks(path, chunks_of(process.stdout))
                code = process.wait()
            finally:
                process.kill()
        errors.seek(0)
        if code != 0:
            raise refusal_of("pg_dump", errors.read().decode(errors="replace"), source.database_url)
    return kept


def refusal_of(program: str, told: str, database_url: str) -> LockgateError:
    """The refusal for the errors that one of Postgres's programs printed."""
    from lockgate.system.service_urls import masked

    lines = [line for line in told.strip().splitlines() if "error:" in line or "ERROR:" in line] or [told.strip()]
    message, where = f"{program}: {lines[0][:500]}", masked(database_url)
    if "permission denied" in told or "must be owner" in told or "authentication failed" in told:
        return AccessRefused(message, where=where, hint="run it as the owner of the database")
    return Unavailable(message, where=where, hint="see the log of the server, and try again")


def _copy(source: Path, target: Path, tell: Tell) -> dict[str, KeptFile]:
    """Copy every plain file; one that is deleted meanwhile is left out."""
    paths = sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    sizes = [path.stat().st_size for path in paths if path.exists()]
    done, total, found = 0, sum(sizes), {}
    target.mkdir(mode=0o700)
    for path in paths:
        name = path.relative_to(source)
        try:
            with path.open("rb") as file:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                kept = _write_chunks(target / name, chunks_of(file))
        except FileNotFoundError:
            continue
        found[f"{ARTIFACTS}/{name.as_posix()}"] = kept
        if (done + kept.size) * 10 // max(total, 1) > done * 10 // max(total, 1):
            tell("kilobytes of files", (done + kept.size) // 1000, max(total, done + kept.size) // 1000)
        done += kept.size
    return found


def chunks_of(file: IO[bytes] | None) -> Iterator[bytes]:
    """The content of a file or pipe, in chunks."""
    while file and (chunk := file.read(CHUNK)):
        yield chunk


def _without_files(contents: Contents, files: Mapping[str, KeptFile]) -> Iterator[str]:
    for version in contents.versions:
        if f"{ARTIFACTS}/{version.folder}/MLmodel" not in files:
            yield f"version {version.version} of {version.model}"


def _manifest(contents: Contents, place: str, files: Mapping[str, KeptFile]) -> Manifest:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lacking = tuple(_without_files(contents, files)) if place == "folder" else ()
    return Manifest(
        now,
        __version__,
        contents.postgres,
        contents.schema,
        place,
        contents.heads,
        contents.roles,
        dict(files),
        lacking,
    )


def _write_chunks(path: Path, chunks: Iterator[bytes]) -> KeptFile:
    sha, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            sha.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return KeptFile(size, sha.hexdigest())


def _write(path: Path, text: str) -> None:
    _write_chunks(path, iter([text.encode()]))


@contextmanager
def _draft_beside(target: Path) -> Iterator[Path]:
    """A private folder beside the target, which is deleted if the block fails."""
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _name(draft: Path, target: Path) -> None:
    """Give the draft its name; an empty folder of that name is replaced."""
    draft.rename(target.absolute())
    descriptor = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
