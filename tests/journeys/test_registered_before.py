"""Versions that earlier code registered stay usable: a dump of their stack is restored and migrated."""

import shutil
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from backup_guide import commands, with_postgres_programs
from clone import PROJECT, Clone, clone_of_project

pytestmark = pytest.mark.long


STORED = PROJECT / "tests" / "data" / "registered_before"
NUMBERS = ["prediction", "lower", "upper"]


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A stack restored as docs/how-to/backup.md says, in which version 2 is in Production and version 3 in Staging."""
    clone = clone_of_project(tmp_path_factory.mktemp("restored") / "a clone", {})
    shutil.copy(STORED / "lockgate.dump", clone.folder)
    shutil.copy(STORED / "holdout.parquet", clone.folder)
    clone.set_params(monitor__production_days=3650)  # the stored Production grows older each day
    try:
        clone.run("bash", "-c", with_postgres_programs() + commands("A dump of Postgres alone"), timeout=400)
        yield clone
    finally:
        clone.lockgate("down")


def predicted(clone: Clone, *chosen: str) -> pd.DataFrame:
    clone.lockgate("predict", "--input", "holdout.parquet", "--output", "found.csv", "--force", *chosen)
    return pd.read_csv(clone.folder / "found.csv")


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_forecasts_what_it_forecast_then(restored: Clone, version: int) -> None:
    found = predicted(restored, "--version", str(version))
    then = pd.read_csv(STORED / f"version{version}.csv")
    np.testing.assert_allclose(found[NUMBERS], then[NUMBERS], rtol=1e-12)
    assert (found["model_version"] == version).all()


def test_the_history_is_whole_and_no_invariant_is_broken(restored: Clone) -> None:
    restored.lockgate("ledger", "verify")
    assert [(version, target) for version, _, target, _ in restored.moves()] == [
        (1, "Staging"), (1, "Production"), (2, "Staging"), (1, "Archived"), (2, "Production"), (3, "Staging"),
    ]  # fmt: skip
    assert restored.lockgate("status", "--json").json()["broken"] == []


def test_a_rollback_brings_the_earlier_version_back(restored: Clone) -> None:
    """The last test: it changes what is in Production."""
    restored.lockgate("rollback", "--reason", "too high", "--yes")
    assert restored.stages() == {1: "Production", 2: "Archived", 3: "Staging"}
    assert (predicted(restored)["model_version"] == 1).all()
    restored.lockgate("ledger", "verify")
