"""`backup` and `restore`: a deployment in one folder, and back."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import as_json, command, confirm, dry_run, print_json, tell, yes
from lockgate.errors import StateConflict, WrongUsage
from lockgate.system import progress, service_urls
from lockgate.system.service_urls import DATABASE_VARIABLE

if TYPE_CHECKING:
    from lockgate.operations.backup import Source

LEAST_SECONDS = 30.0
FOLDER = click.Path(file_okay=False, path_type=Path)
artifacts_option = click.option(
    "--artifacts", type=FOLDER, metavar="DIR",
    help="Folder in which the MLflow server keeps its artifacts. Default: that of the local stack.",
)  # fmt: skip


@command("backup", example="lockgate backup /backups/2026-11-28", project=False)
@click.argument("folder", type=FOLDER)
@artifacts_option
@click.option("--no-artifacts", is_flag=True, help="The artifacts are in a store that has a backup of its own.")
@dry_run
@as_json
def backup(
    folder: Path, artifacts: Path | None, no_artifacts: bool, dry_run: bool, as_json: bool, timeout: float
) -> None:
    """Copy the database and the files of its models into a new folder.

    Everything is as of one moment, also while versions are registered and promoted. FOLDER gets its name when the
    backup is whole. It holds a dump of Postgres, the artifacts (unless they are in the database), and a manifest with
    the digest of each file and the end of each ledger. Run it as the owner of the database. If the files of a version
    are missing, the rest is backed up and the command ends with exit code 5.
    """
    from lockgate.operations import backup

    if artifacts and no_artifacts:
        raise WrongUsage("--artifacts and --no-artifacts exclude each other")
    source = _source(artifacts, no_artifacts, timeout)
    if dry_run:
        found = backup.plan(source, folder)
        click.echo(f"would back up {len(found.versions)} versions and {_ledgers(len(found.heads))} to {folder}")
        return
    with progress.watch("backup") as shown:
        made = backup.take(source, folder, shown)
    if as_json:
        from lockgate.operations.restore import described

        print_json(described(made) | {"folder": str(folder)})
    else:
        click.echo(f"{folder}: {len(made.files)} files, {made.bytes / 1e6:.1f} MB, artifacts: {made.artifacts}")
        for head in made.heads:
            click.echo(f"ledger of {head.model}: {head.seq} rows, the last one with hash {head.hash}")
    if made.without_files:
        raise StateConflict(
            f"the backup is made, but the files are missing of {', '.join(made.without_files)}",
            hint="if lockgate gc deleted a version meanwhile, run the backup again; else see: lockgate doctor --all",
        )


@command("restore", example="lockgate restore /backups/2026-11-28 --yes", project=False)
@click.argument("folder", type=FOLDER)
@artifacts_option
@click.option("--replace", is_flag=True, help="Delete what the database and the folder of the artifacts hold now.")
@yes
@dry_run
def restore(folder: Path, artifacts: Path | None, replace: bool, yes: bool, dry_run: bool, timeout: float) -> None:
    """Put a backup into the database and the folder of the artifacts.

    First every file is compared with its digest (exit code 7). A target that holds runs, versions or files is refused
    (exit code 5) without --replace. The database changes in one transaction, and only if each ledger ends where the
    backup says. Then all tables and rules are brought to this version.
    """
    from lockgate.operations import prepare_database, restore
    from lockgate.operations.workspace import actor_here

    manifest = restore.verified(folder)
    tell(f"{folder} of {manifest.made_at} is whole: {len(manifest.files)} files, {manifest.bytes / 1e6:.1f} MB")
    if manifest.without_files:
        tell(f"warning: it has no files of {', '.join(manifest.without_files)}")
    source = _source(artifacts, manifest.artifacts == "elsewhere", timeout)
    target = restore.Target(source, _place_of_stack())
    restore.refuse_unfit(manifest, target, replace=replace)
    where = service_urls.masked(source.database_url)
    if dry_run:
        click.echo(f"would restore {_ledgers(len(manifest.heads))} into {where}")
        return
    if replace:
        confirm(f"Delete everything in {where} and put the backup of {manifest.made_at} there?", yes)
    restore.carry_out(folder, manifest, target)
    done = prepare_database.after_restore(source.database_url, source.timeout, f"{actor_here()} (lockgate restore)")
    click.echo(f"restored {_ledgers(len(manifest.heads))} into {where}" + (f"; {'; '.join(done)}" if done else ""))


def _source(artifacts: Path | None, elsewhere: bool, timeout: float) -> "Source":
    from lockgate.operations.backup import Source

    url = service_urls.find(Path.cwd()).database_url
    folder = artifacts or (None if elsewhere else _folder_of_stack())
    return Source(url, max(timeout, LEAST_SECONDS), folder, elsewhere)


def _folder_of_stack() -> Path | None:
    """Where the local stack keeps its artifacts; None for a database that the environment names."""
    from lockgate.stack import artifact_location

    home = _home()
    return artifact_location.folder(home) if home and _place_of_stack() == "folder" else None


def _place_of_stack() -> str | None:
    home = _home()
    if home is None:
        return None
    return str(json.loads((home / "stack.json").read_text(encoding="utf-8")).get("artifacts", "folder"))


def _home() -> Path | None:
    """The folder of the local stack, if it is the one that the command works on."""
    home = service_urls.stack_folder(Path.cwd()) / service_urls.STATE_FILE.parent
    if not (home / "stack.json").is_file():
        return None
    named = os.environ.get(DATABASE_VARIABLE, "").strip()
    own = service_urls.read_state(home / "stack.json", even_stopped=True).database_url
    return home if named in ("", own) else None


def _ledgers(count: int) -> str:
    return f"the ledger{'s' if count != 1 else ''} of {count} model{'s' if count != 1 else ''}"
