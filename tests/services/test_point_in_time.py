"""Return to a moment by Postgres's own archive: the settings and commands of docs/how-to/backup.md are executed."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from raw_model import RawModel
from sqlalchemy import text

from lockgate.database import guard, ledger
from lockgate.database.connection import Database
from lockgate.database.ledger import LedgerRow
from lockgate.stack import embedded_postgres, root_account
from lockgate.stack import up_down as lockgate_stack

pytestmark = pytest.mark.long

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "backup.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## To a point in time")[2].partition("\n## ")[0]
SECONDS = 60


class Archived(NamedTuple):
    """A base backup, an archive, a moment, and what the ledger said then and at the end."""

    base: Path
    archive: Path
    model: str
    moment: str
    then: list[LedgerRow]
    at_the_end: list[LedgerRow]


def lines(*words: str) -> list[str]:
    """The indented lines of the section that begin with these words."""
    return [found for word in words for found in re.findall(rf"^    ({word}.*)$", SECTION, re.MULTILINE)]


def owned(folder: Path) -> Path:
    """A folder of the account that Postgres runs as, which may pass the folders above."""
    folder.mkdir(mode=0o700)
    os.chown(folder, root_account.user_id(), -1)
    return folder


def configure(home: Path, settings: list[str]) -> None:
    with (embedded_postgres.data_folder(home) / "postgresql.conf").open("a") as file:
        file.write("".join(f"{line}\n" for line in settings))


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archived]:
    """A stack with an archive: a base backup, a promotion, the moment, and another promotion."""
    place = tmp_path_factory.mktemp("archived")
    folder, archive, base = place / "a clone", owned(place / "archive"), place / "base"
    home = folder / ".lockgate"
    (home / "logs").mkdir(parents=True)
    try:
        embedded_postgres.start(home, time.monotonic() + SECONDS)
        embedded_postgres.stop(home, SECONDS)
        settings = lines("archive_mode", "archive_command")
        assert len(settings) == 2
        configure(home, [line.replace("/archive", str(archive)) for line in settings])
        stack = lockgate_stack.up(folder, timeout=600, tell=lambda _: None)
        database = Database(stack.database_url)
        model = RawModel(stack, database)
        first = model.serving()
        take_base_backup(home, base)
        second = model.candidate(against=first)
        assert model.transition(second, "Production", archive=True).status_code == 200
        then, moment = ledger.read(database, model.name), now(database)
        third = model.candidate(against=second)
        assert model.transition(third, "Production", archive=True).status_code == 200
        at_the_end = ledger.read(database, model.name)
        with database.transaction() as connection:
            connection.execute(text("SELECT pg_switch_wal()"))
            wanted = connection.scalar(text("SELECT pg_walfile_name(pg_current_wal_lsn() - 1)"))
        wait_for(archive / str(wanted))
    finally:
        lockgate_stack.down(folder, tell=lambda _: None)
    yield Archived(base, archive, model.name, moment, then, at_the_end)


def take_base_backup(home: Path, base: Path) -> None:
    """The page's pg_basebackup, at this machine's addresses."""
    [command] = lines("pg_basebackup")
    words = command.replace("/backups/base", str(base)).split(" --")
    program, *options = [words[0], *(f"--{word}" for word in words[1:])]
    arguments = [part for option in options for part in option.split(" ", 1)]
    reached = ["--host", str(embedded_postgres.socket_folder(home)), "--username", embedded_postgres.OWNER]
    subprocess.run([embedded_postgres.binary(program), *arguments, *reached], check=True, timeout=SECONDS)


def now(database: Database) -> str:
    """A moment after the last commit and before the next one, as the database's clock has it."""
    with database.transaction() as connection:
        return str(connection.scalar(text("SELECT clock_timestamp()")))


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not archived: {sorted(path.parent.iterdir())}"
        time.sleep(0.1)


def recovered(archived: Archived, home: Path, settings: list[str]) -> Database:
    """The base backup with these settings, started."""
    (home / "logs").mkdir(parents=True)
    data = embedded_postgres.data_folder(home)
    shutil.copytree(archived.base, data)
    written = [line.replace("/archive", str(archived.archive)) for line in settings]
    configure(home, ["archive_mode = off", "hot_standby = off", *written])  # ready means: recovered
    (data / "recovery.signal").touch()
    for path in [data, *data.rglob("*")]:
        os.chown(path, root_account.user_id(), -1)
    embedded_postgres.start(home, time.monotonic() + SECONDS)
    return Database(embedded_postgres.url(home, embedded_postgres.OWNER))


def test_the_state_of_a_moment_comes_back(archived: Archived, tmp_path: Path) -> None:
    """The second version is in Production, the third unknown; ledger and guard are whole."""
    settings = [re.sub(r"'2026[^']*'", f"'{archived.moment}'", line) for line in lines("restore_command", "recovery_")]
    assert len(settings) == 3
    home = tmp_path / ".lockgate"
    try:
        database = recovered(archived, home, settings)
        rows = ledger.read(database, archived.model)
        assert rows == archived.then
        assert len(archived.at_the_end) > len(rows)
        assert (list(ledger.breaks(rows)), ledger.missing_tail(database, archived.model)) == ([], [])
        assert guard.status(database).faults == ()
        with database.transaction() as connection:  # it takes writes again
            connection.execute(text("INSERT INTO lockgate.registry_locks VALUES (1)"))
    finally:
        embedded_postgres.stop(home, SECONDS)


def test_without_a_moment_the_last_archived_commit_comes_back(archived: Archived, tmp_path: Path) -> None:
    home = tmp_path / ".lockgate"
    try:
        database = recovered(archived, home, lines("restore_command"))
        assert ledger.read(database, archived.model) == archived.at_the_end
    finally:
        embedded_postgres.stop(home, SECONDS)
