"""Gathers the review of a verdict from Postgres alone."""

from dataclasses import asdict
from math import isfinite
from typing import Any

from lockgate.database import versions
from lockgate.database.verdicts import StoredVerdict
from lockgate.database.versions import Version
from lockgate.operations.workspace import Workspace
from lockgate.reports.review_data import RecordOfVersion, Review, review_of


def review_of_verdict(workspace: Workspace, found: StoredVerdict) -> Review:
    """The verdict, the version's record, and what differs from the version in Production that it was compared with."""
    own = versions.recorded_version(workspace.database, found.model, found.version)
    against = found.digests.serving_digest
    serving = versions.version_of_digest(workspace.database, found.model, against) if against else None
    return review_of(found, _record(own) or RecordOfVersion(found.version, "", {}), _record(serving))


def as_json(found: StoredVerdict) -> dict[str, Any]:
    """The verdict as JSON, with null for a metric that is no number; `decided_at` is a time of the database."""
    metrics = {name: value if isfinite(value) else None for name, value in found.metrics.items()}
    return asdict(found) | {"decided_at": found.decided_at.isoformat(), "metrics": metrics}


def _record(version: Version | None) -> RecordOfVersion | None:
    return None if version is None else RecordOfVersion(version.version, version.run_id, version.lineage)
