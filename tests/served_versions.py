"""Versions of a test in their stages, and their forecasters."""

from functools import cache
from pathlib import Path

import mlflow
import pandas as pd
import trained_projects
from passed_by_hand import passed_by_hand

from lockgate.bundle import manifest, store
from lockgate.forecaster.answers import answers
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.gate.verdict import policy_digest
from lockgate.operations import promote, register
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params, load_params

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
ANYTHING = {"over_serving": 1.0}


def registered(workspace: Workspace, seed: int) -> int:
    """Register what the project of a seed trained."""
    build, params = _trained(seed)
    return register.register(workspace, build, params).version


def put_in_staging(workspace: Workspace, seed: int) -> int:
    """Register what the project of a seed trained, and move it to Staging."""
    build, params = _trained(seed)
    return passed_by_hand(workspace, build, params, **ANYTHING).version


def _trained(seed: int) -> tuple[Build, Params]:
    project = trained_projects.folder_of(seed)
    return Build(project / "data" / "prepared", project / "build"), load_params(project / "params.yaml")


def promote_staged(workspace: Workspace, version: int) -> None:
    """Promote a version that is in Staging."""
    _, params = _trained(1)
    promote.promote(workspace, YES, version, policy_digest(params.policy.model_copy(update=ANYTHING)), None)


def put_in_production(workspace: Workspace, seed: int) -> int:
    """Register what the project of a seed trained, and promote it."""
    version = put_in_staging(workspace, seed)
    promote_staged(workspace, version)
    return version


@cache
def forecaster(seed: int) -> ForecasterProtocol:
    """The forecaster of a seed."""
    build, _ = _trained(seed)
    return store.load(build.bundle, manifest.digest(build.bundle))


def rows() -> pd.DataFrame:
    """Rows that can be forecast, without their target."""
    return pd.read_parquet(trained_projects.folder_of(1) / "data" / "prepared" / "holdout.parquet").drop(
        columns="Sales"
    )


def expected(seed: int, asked: pd.DataFrame, confidence: float = 0.95) -> list[dict[str, float]]:
    """The answers of the forecaster of a seed, as a client reads them."""
    return answers(forecaster(seed), asked, confidence).to_dict("records")


def damage(workspace: Workspace, home: Path, version: int) -> None:
    """Change a file of a registered version on the server."""
    mlflow.set_tracking_uri(workspace.addresses.tracking_uri)
    mlflow.set_registry_uri(workspace.addresses.tracking_uri)
    found = mlflow.MlflowClient().get_model_version(workspace.model, str(version))
    [kept] = home.glob(f"artifacts/*/models/{found.source.removeprefix('models:/')}/artifacts")
    changed = kept / "artifacts" / "bundle" / "lightgbm.txt"
    changed.write_bytes(changed.read_bytes()[:-1])
