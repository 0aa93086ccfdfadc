"""`lockgate register PATH`: imports a bundle or an external MLflow model as a version in None.

All files are read once, as plain files, into a private folder. A child process opens them first.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate import digests
from lockgate.bundle import external_metadata, external_mlmodel, manifest
from lockgate.bundle.external_metadata import DeclaredMetadata
from lockgate.bundle.external_mlmodel import BundleInModel, ExternalModel
from lockgate.bundle.mlmodel import MLMODEL
from lockgate.data.data_card import read_card
from lockgate.errors import GateRefused, WrongUsage
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

EPOCH = date(1970, 1, 1)
NATIVE_RECIPE = "store_panel"  # its columns are computed for a native model, too
ACCEPTED = "give the folder of a bundle (manifest.json) or of an MLflow model (MLmodel): docs/how-to/register.md"


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
        params = known | {"members": ", ".join(self.facts.members)}
        return run_record.brought_record(params, _unknown() | known | self.origin)


def bring(
    workspace: Workspace, path: Path, declared: DeclaredMetadata, prepared: Path, problem: Problem
) -> Arrived:  # fmt: skip
    """Register the model in the folder PATH; the same content again is the same version.

    A bundle is registered unchanged. A native model is converted into a bundle for the keys and the holdout of the
    prepared tables. Raises WrongUsage for a path with neither and for a native model of a problem whose columns are
    not computed for one, IntegrityBroken for a file that is damaged or could run code, and GateRefused for a model with
    columns that cannot be computed or with forecasts that are no numbers.
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
        held = external_mlmodel.read(path) if _is_mlflow_model(path) else BundleInModel(path, manifest.digest(path))
        if isinstance(held, ExternalModel):
            _require_recipe(problem)
            facts, origin = _made(held, declared, prepared, folder, actor)
        else:
            facts, origin = _taken(held, declared, folder)
        came_from = {"came_from": str(path.absolute()), "brought_by": actor}
        yield Brought(folder / "bundle", facts, came_from | origin, problem)


def _is_mlflow_model(path: Path) -> bool:
    return (path / MLMODEL).exists()


def _require_model(path: Path) -> None:
    if not path.exists():
        raise WrongUsage(f"{path} does not exist", hint=ACCEPTED)
    if not path.is_dir():
        raise WrongUsage(f"{path} is no folder", hint=ACCEPTED)
    if not (_is_mlflow_model(path) or (path / manifest.MANIFEST).exists()):
        inside = [each for each in (path / "bundle", path / "model") if each.is_dir()]
        hint = f"did you mean {inside[0]}?" if inside else ACCEPTED
        raise WrongUsage(f"{path} holds neither a bundle nor an MLflow model", hint=hint)


def _taken(held: BundleInModel, declared: DeclaredMetadata, folder: Path) -> tuple[BundleFacts, dict[str, str]]:
    """Copy a bundle and open it. The bundle itself holds its last training day, so no declaration is accepted."""
    if not declared.is_empty:
        raise WrongUsage(
            "a bundle holds its last training day and its target itself", hint="leave out --trained-until and --target"
        )
    safe_files.copy(held.folder, folder / "bundle")
    return sandboxed.open_bundle(folder, held.digest), {"kind": "bundle", "trained_until_stated_by": "the bundle"}


def _made(
    model: ExternalModel, declared: DeclaredMetadata, prepared: Path, folder: Path, actor: str
) -> tuple[BundleFacts, dict[str, str]]:
    """Convert a native model into a bundle; returns its facts and the source of each declared value."""
    _require_known_columns(model)
    statement = external_metadata.resolve(declared, model.metadata, actor)
    (folder / "booster").write_bytes(model.content)
    described = {
        "library": model.library,
        "columns": list(model.columns),
        "target": statement.target,
        "window": _window(statement.trained_until, prepared),
        "prepared": str(prepared.absolute()),
    }
    origin = {
        "kind": f"{model.library} model",
        "file_digest": digests.of_bytes(model.content),
        "columns": ", ".join(model.columns),
        "target": statement.target,
        "target_stated_by": statement.target_by,
        "trained_until_stated_by": statement.trained_until_by,
        "source_run_id": model.run_id or UNKNOWN,
    }
    return sandboxed.make_bundle(folder, described), origin


def _require_recipe(problem: Problem) -> None:
    """Raise WrongUsage if the columns of a native model cannot be computed for the problem."""
    if NATIVE_RECIPE not in problem.features:
        raise WrongUsage(
            f"a model of a library can be registered for problems with features: {NATIVE_RECIPE}, and not for"
            f" {problem.name}",
            hint="register a bundle that the train stage has made: docs/how-to/register.md",
        )


def _require_known_columns(model: ExternalModel) -> None:
    from lockgate.features.store_panel.external_columns import COLUMNS

    unknown = [ascii(name)[1:-1] for name in model.columns if name not in COLUMNS]
    if unknown:
        raise GateRefused(
            f"the model has columns that cannot be computed before the day: {', '.join(unknown)}",
            hint=f"allowed columns: {', '.join(COLUMNS)}: docs/how-to/register.md",
        )
    if len(set(model.columns)) < len(model.columns):
        raise GateRefused("the model's signature names a column twice", hint="name each column once")


def _window(until: date, prepared: Path) -> dict[str, int]:
    """The last training day, the last day of the holdout, and the last day to forecast, as days since 1970."""
    if not prepared.is_dir():
        raise WrongUsage(f"there are no prepared tables in {prepared}", hint="make them with: dvc repro prepare")
    card = read_card(prepared)
    days = int(card["holdout_periods"])
    judged = max(until, date.fromisoformat(card["cutoff"])) + timedelta(days=days)
    origin, last = ((day - EPOCH).days for day in (until, judged))
    return {"origin": origin, "judged": last, "served": last + days}


def _unknown() -> dict[str, str]:
    """The lineage of an external model: every field is unknown."""
    return {field.name: UNKNOWN for field in fields(Lineage)}
