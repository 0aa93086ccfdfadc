"""`lockgate restore`: a verified backup replaces the database in one transaction, and the folder of the artifacts."""

import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from lockgate.database import libpq, snapshot
from lockgate.database.connection import Database
from lockgate.errors import IntegrityBroken, StateConflict, StorageFailed
from lockgate.operations import backup_manifest
from lockgate.operations.backup import Source, chunks_of, refusal_of
from lockgate.operations.backup_manifest import ARTIFACTS, DUMP, Manifest
from lockgate.system import postgres_programs

# Everything of MLflow and Lockgate goes, in the transaction that brings the backup. What an extension owns stays.
EMPTY = """
BEGIN;
SET lock_timeout = '60s';
DROP SCHEMA IF EXISTS lockgate, lockgate_artifacts CASCADE;
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('DROP %s IF EXISTS public.%I CASCADE',
                      CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                      ELSE 'TABLE' END, relname)
        FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
        ORDER BY relkind = 'S'
    LOOP
        EXECUTE statement;
    END LOOP;
    FOR statement IN
        SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure)
        FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
"""
# The last rows that came are those that the backup had: a dump that lost its end is not committed.
CHECK = """
DO ${tag}$
BEGIN
    IF (SELECT coalesce(jsonb_object_agg(model, jsonb_build_array(seq, hash)), '{{}}')
        FROM (SELECT DISTINCT ON (model) model, seq, hash FROM lockgate.ledger ORDER BY model, seq DESC) AS last)
        <> '{heads}'::jsonb
    THEN
        RAISE EXCEPTION 'the ledger does not end where the backup says';
    END IF;
END
${tag}$;
COMMIT;
"""
LEDGER_ENDS_ELSEWHERE = "the ledger does not end where the backup says"


@dataclass(frozen=True)
class Target:
    """Where a backup goes. `place` is where the MLflow server there keeps its artifacts, if that is known."""

    source: Source
    place: str | None = None

    @property
    def database(self) -> Database:
        """The database that is replaced."""
        return Database(self.source.database_url, self.source.timeout)


def verified(folder: Path) -> Manifest:
    """The manifest of a backup whose files are whole. Raises IntegrityBroken with every damage."""
    manifest = backup_manifest.read(folder)
    if found := backup_manifest.damage(folder, manifest):
        raise IntegrityBroken("; ".join(found), where=str(folder), hint=backup_manifest.HINT)
    return manifest


def refuse_unfit(manifest: Manifest, target: Target, *, replace: bool) -> None:
    """Raises StateConflict if the target holds data (unless they may be replaced), or does not fit the backup."""
    database = target.database
    if not replace and (used := _data_of(target)):
        raise StateConflict(
            f"the target is not empty: {', '.join(used)}",
            where=database.address,
            hint="restore into an empty one; or replace what is there: --replace",
        )
    if missing := snapshot.missing_roles(database, manifest.roles):
        made = "; ".join(f"CREATE ROLE {name}" + ("" if name.startswith("lockgate_") else " LOGIN") for name in missing)
        raise StateConflict(
            f"the server lacks roles that the backup names: {', '.join(missing)}", hint=f"make them first: {made}"
        )
    if target.place not in (None, manifest.artifacts) and manifest.artifacts != "elsewhere":
        raise StateConflict(
            f"the backup has its artifacts in the {manifest.artifacts}, the target in the {target.place}",
            hint=f"start the target with: lockgate up --artifacts {manifest.artifacts}",
        )
    if manifest.artifacts == "folder" and target.source.artifacts is None:
        raise StateConflict("nothing says where the artifacts go", hint="name their folder: --artifacts FOLDER")
    postgres_programs.fitting("pg_restore", manifest.postgres)


def carry_out(folder: Path, manifest: Manifest, target: Target) -> None:
    """Replace the database and the artifacts. The files are copied first, and take their place after the commit.

    After a crash in between, the same restore with `replace` ends where an uninterrupted one ends.
    """
    place = target.source.artifacts if manifest.artifacts == "folder" else None
    with _copied_into(folder / ARTIFACTS, place) as draft:
        _restore_database(folder / DUMP, manifest, target.source)
        if place and draft:
            _exchange(draft, place)


def _data_of(target: Target) -> list[str]:
    files = target.source.artifacts
    has_files = files is not None and files.is_dir() and any(path.is_file() for path in files.rglob("*"))
    return [*snapshot.tables_with_data(target.database), *([str(files)] if has_files else [])]


def _restore_database(dump: Path, manifest: Manifest, source: Source) -> None:
    """Let pg_restore write SQL and psql run it; the commit is sent only after the last line of the dump."""
    major = max(manifest.postgres, snapshot.major(Database(source.database_url, source.timeout)))
    environment = libpq.environment(source.database_url, source.timeout)
    reader = [postgres_programs.fitting("pg_restore", major), "--file=-", str(dump)]
    writer = [postgres_programs.fitting("psql", major), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", libpq.KEEPALIVES]
    with tempfile.TemporaryFile() as read_errors, tempfile.TemporaryFile() as errors:
        with (
            subprocess.Popen(reader, stdout=subprocess.PIPE, stderr=read_errors) as restoring,  # noqa: S603 - no shell
            subprocess.Popen(  # noqa: S603 - no shell
                writer, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
            ) as running,
        ):
            try:
                _feed(restoring, running.stdin, _check(manifest))
                code = running.wait()
            finally:
                restoring.kill()
                running.kill()
        told = _told(errors)
        if code == 0 and restoring.returncode != 0:
            raise IntegrityBroken(
                f"the dump cannot be read: {_told(read_errors)[:300]}", where=str(dump), hint=backup_manifest.HINT
            )
        if LEDGER_ENDS_ELSEWHERE in told:
            raise IntegrityBroken(
                f"{LEDGER_ENDS_ELSEWHERE}; nothing was changed", where=str(dump), hint="use another backup"
            )
        if code != 0:
            raise refusal_of("psql", told, source.database_url)


def _feed(restoring: "subprocess.Popen[bytes]", entry: IO[bytes] | None, ending: str) -> None:
    """Hand the SQL on, and the ending if the dump was read to its end; a psql that gave up has closed its entry."""
    with suppress(BrokenPipeError):
        if entry:
            with entry:
                entry.write(EMPTY.encode())
                entry.writelines(chunks_of(restoring.stdout))
                if restoring.wait() == 0:
                    entry.write(ending.encode())


def _check(manifest: Manifest) -> str:
    heads = json.dumps({head.model: [head.seq, head.hash] for head in manifest.heads}).replace("'", "''")
    return CHECK.format(tag=f"t{secrets.token_hex(8)}", heads=heads)


def _told(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip()


@contextmanager
def _copied_into(artifacts: Path, place: Path | None) -> Iterator[Path | None]:
    """A copy of the files in a hidden folder of their place, which may be a mounted volume; deleted after the block."""
    if place is None:
        yield None
        return
    if not place.absolute().parent.is_dir():
        raise StorageFailed("the folder above does not exist", where=str(place), hint="make it first")
    made = not place.exists()
    place.mkdir(mode=0o700, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".restore.", dir=place))
    try:
        if artifacts.is_dir():
            shutil.copytree(artifacts, draft, dirs_exist_ok=True)
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if made and not any(place.iterdir()):
            place.rmdir()


def _exchange(draft: Path, place: Path) -> None:
    """Delete what was in the place, and let the copy take it."""
    for old in place.iterdir():
        if old != draft:
            shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    for new in draft.iterdir():
        new.rename(place / new.name)


def described(manifest: Manifest) -> dict[str, object]:
    """The manifest without the list of its files."""
    told = asdict(manifest)
    return told | {"files": len(manifest.files), "bytes": manifest.bytes}
