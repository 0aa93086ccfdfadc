"""`lockgate register PATH`: imports a bundle or an external model as a version in None.

All files are read once, as plain files, into a private folder. A child process opens them first.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate import digests
from lockgate.bundle import external_format, external_metadata, external_mlmodel, manifest
from lockgate.bundle.external_metadata import DeclaredMetadata, ModelMetadata, Until
from lockgate.bundle.external_mlmodel import BARE, BundleInModel, SavedModel
from lockgate.bundle.mlmodel import MLMODEL
from lockgate.data.data_card import read_card
from lockgate.errors import WrongUsage
from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import BundleFacts
from lockgate.operations import register
from lockgate.operations.lineage import UNKNOWN, Lineage
from lockgate.operations.stage_files import Receipt
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem
from lockgate.system import safe_files

if TYPE_CHECKING:
    from lockgate.registry.run_log import Contents, RunRecord

ACCEPTED = (
    f"give the folder of a bundle (manifest.json) or of an MLflow model (MLmodel), or a file ({', '.join(BARE)}):"
    " docs/how-to/register.md"
)
LAST_HOUR = 23


@dataclass(frozen=True)
class Arrived:
    """The receipt of the version, and whether the version is new."""

    receipt: Receipt
    is_new: bool


@dataclass(frozen=True)
class Brought:
    """An imported bundle, opened once: a source of a registration, like a build of the pipeline."""

    bundle: Path
    facts: BundleFacts
    origin: dict[str, str]  # its path, and who declared what
    problem: Problem

    def contents(self, digest: str) -> "Contents":
        """The bundle, with rows of its probe as the example."""
        from lockgate.operations import run_record

        return run_record.brought_contents(self.bundle, digest, self.problem, self.facts.example)

    def record(self) -> "RunRecord":
        """The known facts of the bundle; all others are recorded as unknown."""
        from lockgate.operations import run_record

        known = {"trained_until": self.facts.trained_until, "horizon_days": str(self.facts.horizon_days)}
        known = known if self.problem.kind == "panel" else {}
        params = known | {"members": ", ".join(self.facts.members)}
        return run_record.brought_record(self.problem, params, _unknown() | known | self.origin)


def bring(
    workspace: Workspace, path: Path, declared: DeclaredMetadata, prepared: Path, problem: Problem
) -> Arrived:  # fmt: skip
    """Register the model at PATH, a folder or a file; the same content again is the same version.

    A bundle is registered unchanged. A model of a library is converted into a bundle for the prepared tables. Raises
    WrongUsage for a path with neither, and for metadata that is missing or does not fit the problem, IntegrityBroken
    for a file that is damaged or could run code, and GateRefused for a model with columns, types, classes or outputs
    that do not fit the problem.
    """
    with _opened(path, declared, prepared, workspace.actor, problem) as brought:
        known = register.find(workspace, brought.facts.digest)
        return Arrived(register.enter(workspace, brought), is_new=known is None)


@contextmanager
def _opened(
    path: Path, declared: DeclaredMetadata, prepared: Path, actor: str, problem: Problem
) -> Iterator[Brought]:  # fmt: skip
    _require_model(path)
    with tempfile.TemporaryDirectory(prefix="lockgate-") as private:
        folder = Path(private)
        held = _held(path)
        if isinstance(held, SavedModel):
            statement = external_metadata.resolve(declared, held.metadata, actor, problem)
            facts, origin = _made(held, statement, _Project(problem, prepared), folder)
        else:
            facts, origin = _taken(held, declared, folder)
        came_from = {"came_from": str(path.absolute()), "brought_by": actor}
        yield Brought(folder / "bundle", facts, came_from | origin, problem)


def _held(path: Path) -> BundleInModel | SavedModel:
    if path.is_file():
        return external_mlmodel.read_file(path)
    return external_mlmodel.read(path) if _is_mlflow_model(path) else BundleInModel(path, manifest.digest(path))


def _is_mlflow_model(path: Path) -> bool:
    return (path / MLMODEL).exists()


def _require_model(path: Path) -> None:
    if not path.exists():
        raise WrongUsage(f"{path} does not exist", hint=ACCEPTED)
    if path.is_file() and path.suffix in BARE:
        return
    if not path.is_dir():
        raise WrongUsage(f"{path} is no folder, and no file of an accepted kind", hint=ACCEPTED)
    if not (_is_mlflow_model(path) or (path / manifest.MANIFEST).exists()):
        inside = [each for each in (path / "bundle", path / "model") if each.is_dir()]
        hint = f"did you mean {inside[0]}?" if inside else ACCEPTED
        raise WrongUsage(f"{path} holds neither a bundle nor an MLflow model", hint=hint)


def _taken(held: BundleInModel, declared: DeclaredMetadata, folder: Path) -> tuple[BundleFacts, dict[str, str]]:
    """Copy a bundle and open it. The bundle itself holds its last training day, so no declaration is accepted."""
    if not declared.is_empty:
        raise WrongUsage(
            "a bundle holds its last training day, its target, its columns and its classes itself",
            hint="leave out --trained-until, --target, --columns and --classes",
        )
    safe_files.copy(held.folder, folder / "bundle")
    return sandboxed.open_bundle(folder, held.digest), {"kind": "bundle", "trained_until_stated_by": "the bundle"}


@dataclass(frozen=True)
class _Project:
    """The problem and the folder of its prepared tables."""

    problem: Problem
    prepared: Path


def _made(
    model: SavedModel, statement: ModelMetadata, project: _Project, folder: Path
) -> tuple[BundleFacts, dict[str, str]]:
    """Convert a model of a library into a bundle; returns its facts and the source of each declared value."""
    if not project.prepared.is_dir():
        raise WrongUsage(
            f"there are no prepared tables in {project.prepared}", hint="make them with: dvc repro prepare"
        )
    (folder / sandboxed.MODEL).write_bytes(model.content)
    (folder / sandboxed.BESIDE).mkdir()
    for name, content in model.beside.items():
        (folder / sandboxed.BESIDE / name).write_bytes(content)
    columns = model.columns or statement.columns or None
    described = {
        "library": model.library,
        "declared": {"columns": columns, "texts": model.texts, "classes": statement.classes},
        "target": statement.target,
        "window": _window(project, statement.trained_until),
        "problem": project.problem.model_dump(mode="json"),
        "prepared": str(project.prepared.absolute()),
    }
    facts = sandboxed.make_bundle(folder, described)
    made = json.loads((folder / "bundle" / external_format.DESCRIPTION).read_text(encoding="utf-8"))
    origin = {
        "kind": f"{model.library} model",
        "file_digest": digests.of_bytes(model.content),
        "columns": ", ".join(made["columns"]),
        "target": statement.target,
        "target_stated_by": statement.by("target"),
        **({"trained_until_stated_by": statement.by("trained_until")} if statement.trained_until is not None else {}),
        **({"classes": ", ".join(made["classes"])} if made["classes"] else {}),
        "source_run_id": model.run_id or UNKNOWN,
    }
    return facts, origin


def _window(project: _Project, until: Until | None) -> dict[str, int] | None:
    """The last period of the training, of the holdout, and of the forecasts; None without a horizon."""
    if until is None:
        return None
    problem, card = project.problem, read_card(project.prepared)
    origin = _number(problem, until)
    cutoff = _number_of_text(problem, card["cutoff"]) if card["cutoff"] else origin
    periods = int(card["holdout_periods"]) or problem.horizon or 1
    judged = max(origin, cutoff) + periods
    return {"cutoff": origin, "judged": judged, "last": judged + periods}


def _number(problem: Problem, until: Until) -> int:
    """The number of a period: the one that holds the day; of hours, the last one of the day."""
    if not isinstance(until, date):
        return until
    hour = LAST_HOUR if problem.period.name == "hour" else 0
    return _number_of_text(problem, f"{until}T{hour:02}")


def _number_of_text(problem: Problem, text: str) -> int:
    if problem.period.is_integer:
        return int(text)
    import numpy as np

    return int(problem.period.number(np.array([text.replace(" ", "T")], dtype="datetime64[s]"))[0])


def _unknown() -> dict[str, str]:
    """The lineage of an external model: every field is unknown."""
    return {field.name: UNKNOWN for field in fields(Lineage)}
