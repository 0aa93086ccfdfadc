"""Checks that the prediction log flows: no predictions wait long in a spool of this machine."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from lockgate.database.connection import Database
from lockgate.doctor.context import Site
from lockgate.doctor.report import Finding, Weight
from lockgate.operations import drain_log
from lockgate.prediction_log import spool
from lockgate.prediction_log.spool import Spool

LONGEST_WAIT = timedelta(minutes=10)


def flows(site: Site) -> Iterator[Finding]:
    """Check each spool of this machine; the repair moves what waits to Postgres."""
    for folder in spool.folders(spool.folder(site.folder)):
        if (folder / spool.FILE).exists():
            yield from _waiting(folder, site)


def _waiting(folder: Path, site: Site) -> Iterator[Finding]:
    kept = Spool(folder)
    since, size = kept.oldest(), kept.size()
    kept.close()
    if since is not None and datetime.now(UTC) - since > LONGEST_WAIT:
        yield Finding(
            f"predictions since {since:%Y-%m-%d %H:%M} (UTC) wait in {folder}, {size:,} bytes",
            hint="move them to Postgres: lockgate log drain",
            weight=Weight.WARNING,
            repair=partial(_drain, folder, site.workspace.database),
        )


def _drain(folder: Path, database: Database) -> str:
    return f"{drain_log.drain(Spool(folder), database).rows} predictions are in Postgres now"
