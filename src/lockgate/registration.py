"""The register stage: a bundle becomes a version, once; it is found again by its digest in Postgres."""

from lockgate.backend import Backend
from lockgate.build import Build, Receipt
from lockgate.database import records
from lockgate.database.records import Registration
from lockgate.errors import StateConflict
from lockgate.forecast import manifest
from lockgate.params import Params


def register(backend: Backend, made: Build, params: Params) -> Receipt:
    """Find the version that holds the bundle, or register it with its run.

    Raises StateConflict if the version that held it was deleted from MLflow.
    """
    digest = manifest.digest(made.bundle)
    known = records.version_of_digest(backend.database, backend.model, digest)
    if known is not None:
        _require_alive(backend, known.version)
        return Receipt(backend.model, known.version, known.run_id, digest)
    with backend.database.lock(backend.model, wait=backend.timeout):
        return _register(backend, made, params, digest)


def _register(backend: Backend, made: Build, params: Params, digest: str) -> Receipt:
    from lockgate import runrecord  # pandas, matplotlib and mlflow: not needed to find a version again

    record = runrecord.record(made, params)
    version, run_id = backend.registry().find_or_create(runrecord.contents(made, digest), record)
    files = backend.registry().files_around(version)
    kept = {"lineage": record.tags, "candidates": record.candidates.to_dict("records"), "files": files}
    known = records.record_version(backend.database, Registration(backend.model, version, digest, run_id, kept))
    return Receipt(backend.model, known.version, known.run_id, digest)


def _require_alive(backend: Backend, version: int) -> None:
    if version not in {row.version for row in records.stages(backend.database, backend.model)}:
        raise StateConflict(
            f"version {version} of {backend.model} held this bundle and was deleted from MLflow",
            hint="restore it from a backup, or train another one, for example with another seed",
        )
