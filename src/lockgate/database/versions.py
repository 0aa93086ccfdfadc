"""Table versions: registered versions with digest and lineage, beside the rows of MLflow's registry.

Every function is one transaction of its own.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import text

from lockgate.database.connection import Database, with_json, with_retries
from lockgate.errors import StateConflict

Json = Mapping[str, object]


@dataclass(frozen=True)
class Registration:
    """A version and the bundle that it is bound to for good."""

    model: str
    version: int
    bundle_digest: str
    run_id: str
    lineage: Json


@dataclass(frozen=True)
class Version(Registration):
    """A registration with the database's time of it."""

    registered_at: datetime

    @property
    def files(self) -> dict[str, str]:
        """The digests of the files around the bundle; empty if they were not recorded."""
        return {name: str(digest) for name, digest in _section(self.lineage, "files").items()}

    @property
    def tree_clean(self) -> bool | None:
        """Whether the code that made it was committed; None if that is not known."""
        return {"False": True, "True": False}.get(str(_section(self.lineage, "lineage").get("git_dirty")))


@dataclass(frozen=True)
class VersionRow:
    """A version as MLflow's registry has it now; without a bundle digest if it was registered outside Lockgate."""

    version: int
    stage: str
    bundle_digest: str | None
    run_id: str | None
    created_at: datetime


INSERT_VERSION = """
    INSERT INTO lockgate.versions (model, version, bundle_digest, run_id, lineage, source, storage_location)
    SELECT :model, :version, :bundle_digest, :run_id, :lineage, max(source), max(storage_location)
    FROM public.model_versions
    WHERE workspace = 'default' AND name = :model AND version = :version
    ON CONFLICT DO NOTHING
"""
SELECT_VERSION = """
    SELECT model, version, bundle_digest, run_id, lineage, registered_at
    FROM lockgate.versions
    WHERE model = :model AND (version = :version OR bundle_digest = :bundle_digest)
    ORDER BY version
"""
SELECT_STAGES = """
    SELECT registry.version, registry.current_stage, ours.bundle_digest, registry.run_id,
           to_timestamp(registry.creation_time / 1000.0)
    FROM public.model_versions AS registry
    LEFT JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (registry.name, registry.version)
    WHERE registry.workspace = 'default' AND registry.name = :model AND registry.current_stage <> 'Deleted_Internal'
    ORDER BY registry.version
"""
# MLflow keeps the row of a deleted version, without the run that it came from.
SELECT_DELETED = """
    SELECT registry.version, registry.current_stage, ours.bundle_digest, ours.run_id,
           to_timestamp(registry.creation_time / 1000.0)
    FROM public.model_versions AS registry
    LEFT JOIN lockgate.versions AS ours ON (ours.model, ours.version) = (registry.name, registry.version)
    WHERE registry.workspace = 'default' AND registry.name = :model AND registry.current_stage = 'Deleted_Internal'
    ORDER BY registry.version
"""
SELECT_ALIASES = """
    SELECT alias, version FROM public.registered_model_aliases WHERE workspace = 'default' AND name = :model
"""


@with_retries
def record_version(database: Database, registration: Registration) -> Version:
    """Bind a version to its bundle. Saying the same again changes nothing and returns what was recorded first.

    Raises StateConflict if the version is bound to another bundle, or the bundle to another version.
    """
    with database.transaction() as connection:
        connection.execute(with_json(INSERT_VERSION, "lineage"), asdict(registration))
        known = [Version(*row) for row in connection.execute(text(SELECT_VERSION), asdict(registration))]
    if [_binding(each) for each in known] != [_binding(registration)]:
        raise StateConflict(
            f"{registration.model}: {_binding(registration)} contradicts {', '.join(map(_binding, known))}",
            where=database.address,
            hint="the registry and schema lockgate disagree; restore both from one backup",
        )
    return known[0]


def version_of_digest(database: Database, model: str, bundle_digest: str) -> Version | None:
    """The version that holds this bundle."""
    return _one_version(database, {"model": model, "version": None, "bundle_digest": bundle_digest})


def recorded_version(database: Database, model: str, version: int) -> Version | None:
    """A version with its lineage, if it was registered by us."""
    return _one_version(database, {"model": model, "version": version, "bundle_digest": None})


@with_retries
def stages(database: Database, model: str) -> list[VersionRow]:
    """Every version of the model that is not deleted, oldest first, straight from MLflow's table."""
    with database.transaction() as connection:
        return [VersionRow(*row) for row in connection.execute(text(SELECT_STAGES), {"model": model})]


@with_retries
def deleted(database: Database, model: str) -> list[VersionRow]:
    """Every version of the model that MLflow has deleted, oldest first."""
    with database.transaction() as connection:
        return [VersionRow(*row) for row in connection.execute(text(SELECT_DELETED), {"model": model})]


@with_retries
def aliases(database: Database, model: str) -> dict[str, int]:
    """MLflow's aliases of the model, and the version that each points to."""
    with database.transaction() as connection:
        return {row.alias: row.version for row in connection.execute(text(SELECT_ALIASES), {"model": model})}


@with_retries
def _one_version(database: Database, values: Mapping[str, object]) -> Version | None:
    with database.transaction() as connection:
        row = connection.execute(text(SELECT_VERSION), values).one_or_none()
    return None if row is None else Version(*row)


def _section(lineage: Json, name: str) -> Json:
    found = lineage.get(name)
    return found if isinstance(found, Mapping) else {}


def _binding(registration: Registration) -> str:
    return f"version {registration.version} with bundle {registration.bundle_digest[:12]}"
