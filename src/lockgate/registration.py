"""The register stage: a bundle becomes a version, once; it is found again by its digest in Postgres."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from lockgate import lineage, plots, records
from lockgate.backend import Backend
from lockgate.data import prepared
from lockgate.errors import StateConflict
from lockgate.forecast import bundle
from lockgate.lineage import Lineage
from lockgate.params import Params
from lockgate.records import Registration

if TYPE_CHECKING:
    from lockgate.registry import Contents, RunRecord

EXAMPLE_ROWS = 5
RAW_COLUMNS = ["Store", "Date", "Open", "Promo", "StateHoliday", "SchoolHoliday"]


@dataclass(frozen=True)
class Receipt:
    """What the register stage leaves behind: which version holds the bundle."""

    model: str
    version: int
    run_id: str
    bundle_digest: str


@dataclass(frozen=True)
class Build:
    """The folders that the earlier stages filled."""

    prepared: Path
    build: Path

    @property
    def bundle(self) -> Path:
        """The fitted forecaster."""
        return self.build / "bundle"


def register(backend: Backend, made: Build, params: Params) -> Receipt:
    """Find the version that holds the bundle, or register it with its run.

    Raises StateConflict if the version that held it was deleted from MLflow.
    """
    digest = bundle.digest(made.bundle)
    known = records.version_of_digest(backend.database, backend.model, digest)
    if known is not None:
        _require_alive(backend, known.version)
        return Receipt(backend.model, known.version, known.run_id, digest)
    with backend.database.lock(backend.model, wait=backend.timeout):
        return _register(backend, made, params, digest)


def _register(backend: Backend, made: Build, params: Params, digest: str) -> Receipt:
    sources = _lineage(made, params)
    candidates = pd.read_csv(made.build / "scores.csv")
    version, run_id = backend.registry().find_or_create(
        _contents(made, digest), _record(made, params, sources, candidates)
    )
    kept = {"lineage": asdict(sources), "candidates": candidates.to_dict("records")}
    known = records.record_version(backend.database, Registration(backend.model, version, digest, run_id, kept))
    return Receipt(backend.model, known.version, known.run_id, digest)


def _require_alive(backend: Backend, version: int) -> None:
    if version not in {row.version for row in records.stages(backend.database, backend.model)}:
        raise StateConflict(
            f"version {version} of {backend.model} held this bundle and was deleted from MLflow",
            hint="restore it from a backup, or train another one, for example with another seed",
        )


def _lineage(made: Build, params: Params) -> Lineage:
    card = prepared.read_card(made.prepared)
    here = Path.cwd()
    return Lineage(
        git_commit=lineage.git_commit(here),
        git_dirty=lineage.git_dirty(here),
        dvc_lock_digest=lineage.digest_or_unknown(here / "dvc.lock"),
        rows_digest=card["rows"]["digest"],
        holdout_digest=card["holdout"]["digest"],
        seed=params.seed,
    )


def _contents(made: Build, digest: str) -> "Contents":
    from lockgate.registry import Contents

    example = prepared.read(made.prepared, "holdout")[RAW_COLUMNS].head(EXAMPLE_ROWS)
    example = example.assign(
        Store=example["Store"].astype("int64"),
        Date=example["Date"].dt.strftime("%Y-%m-%d"),
        Open=example["Open"].astype("float64"),
        Promo=example["Promo"].astype("int64"),
        SchoolHoliday=example["SchoolHoliday"].astype("int64"),
    )
    return Contents(made.bundle, digest, example, lineage.pinned_requirements())


def _record(made: Build, params: Params, sources: Lineage, candidates: pd.DataFrame) -> "RunRecord":
    from lockgate.registry import RunRecord

    curves = pd.read_csv(made.build / "curves.csv")
    metrics = json.loads((made.build / "metrics.json").read_text(encoding="utf-8"))
    return RunRecord(
        params={name: str(value) for name, value in _flat(params.model_dump()).items()},
        metrics={name: float(value) for name, value in metrics.items()},
        curves=[
            (f"curve.{row.member}.{row.fold}", int(row.step), float(row.capped_rmspe)) for row in curves.itertuples()
        ],
        candidates=candidates,
        tags=sources.as_tags(),
        datasets=_datasets(made, sources),
        files=_files(made, curves),
    )


def _datasets(made: Build, sources: Lineage) -> list[Any]:
    from lockgate.registry import Dataset

    tables: list[tuple[prepared.Part, str, str]] = [
        ("rows", "training", sources.rows_digest),
        ("holdout", "validation", sources.holdout_digest),
    ]
    return [
        Dataset(part, context, prepared.read(made.prepared, part), digest, f"{made.prepared}/{part}.parquet")
        for part, context, digest in tables
    ]


def _files(made: Build, curves: pd.DataFrame) -> list[Path]:
    pictures = made.build / "plots"
    return [
        made.prepared / prepared.CARD,
        made.build / "metrics.json",
        made.build / "curves.csv",
        made.build / "importances.csv",
        plots.learning_curves(curves, pictures / "learning_curves.png"),
        plots.importances(pd.read_csv(made.build / "importances.csv"), pictures / "importances.png"),
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
