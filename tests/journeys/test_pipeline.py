"""`dvc repro` from raw data to Staging, and what DVC offers around it."""

import re
from collections.abc import Callable

import pytest
from clone import Clone, commit

Variables = Callable[[Clone], dict[str, str]]


def test_one_dvc_repro_leads_from_raw_data_to_staging(first_run: Clone) -> None:
    assert first_run.stages() == {1: "Staging"}
    assert first_run.moves() == [(1, "None", "Staging", "validate")]
    assert first_run.read("build/version.json")["version"] == 1
    assert first_run.read("build/verdict.json")["outcome"] == "passed"
    assert "PASSED" in (first_run.folder / "build/report.md").read_text()
    assert first_run.lockgate("verdict").out.startswith("verdict ")


def test_the_pipeline_leaves_git_clean_but_for_its_lock(first_run: Clone) -> None:
    """All that it makes is ignored by git; dvc.lock is the reader's to commit."""
    assert first_run.run("git", "status", "--porcelain").out.split() == ["??", "dvc.lock"]


def test_dvcs_site_cache_is_private(first_run: Clone) -> None:
    """By default it would be /var/tmp/dvc, which everyone can write to."""
    assert (first_run.folder / ".lockgate/dvc/repo").is_dir()


def test_a_second_repro_changes_nothing_and_asks_postgres_alone(first_run: Clone, without_mlflow: Variables) -> None:
    """The registry stages run again and find what they did by its digest: nothing imports mlflow."""
    before, variables = _all_that_is_known(first_run), without_mlflow(first_run)
    assert "mlflow was imported" in first_run.run("python", "-c", "import mlflow", code=1, **variables).err
    second = first_run.repro(**variables)
    assert _stages_run(second.out) == ["register", "validate"]
    assert _all_that_is_known(first_run) == before


def test_dvc_shows_metrics_and_plots(first_run: Clone) -> None:
    """The plots are made without a network."""
    shown = first_run.run("dvc", "metrics", "show", "--json").json()[""]["data"]
    assert shown["build/metrics.json"]["data"]["inner_rmspe_blend"] > 0
    assert 0 < shown["build/verdict.json"]["data"]["metrics"]["rmspe"] < 0.1
    first_run.run("dvc", "plots", "show")
    page = (first_run.folder / "build/dvc_plots/index.html").read_text()
    for word in ('"step": "1"', '"member": "catboost"', '"score": "0.', '"feature": "', '"share": "0.'):
        assert word in page
    assert "<DVC_METRIC" not in page


@pytest.mark.long
def test_an_experiment_is_kept_with_its_verdict_and_going_back_registers_nothing(clone: Clone) -> None:
    """Seed 7, 8, 7: DVC restores the training, and the receipt names the version that really holds it."""
    clone.set_params(seed=7)
    commit(clone, "seed 7")
    clone.repro()
    experiment = clone.run("dvc", "exp", "run", "--name", "other-seed", "-S", "seed=8")
    assert _stages_run(experiment.out) == ["train", "register", "validate"]
    assert clone.stages() == {1: "Archived", 2: "Staging"}
    shown = clone.run("dvc", "exp", "show", "--csv").out
    assert ",passed," in next(line for line in shown.splitlines() if line.startswith("other-seed"))

    clone.run("git", "checkout", "--quiet", "params.yaml")
    back = clone.repro()
    assert "Stage 'train' is cached" in back.out
    assert clone.read("build/version.json")["version"] == 1
    assert clone.stages() == {1: "Archived", 2: "Staging"}


@pytest.mark.long
def test_a_pipeline_runs_from_an_unpacked_archive_without_git(clone: Clone) -> None:
    """`make install` tells DVC so; the lineage says that the commit is unknown."""
    (clone.folder / ".git").rename(clone.folder.parent / "moved away")
    clone.run("make", "-o", ".venv/.installed", "install")
    clone.repro()
    assert "unknown" in clone.lockgate("show", "1").out
    assert clone.stages() == {1: "Staging"}


def _stages_run(out: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", out)


def _all_that_is_known(clone: Clone) -> list[str]:
    looks = [clone.lockgate(word, "--json").out for word in ("list", "history", "verdict", "status")]
    files = ("dvc.lock", "build/version.json", "build/verdict.json", "build/report.md")
    return [*looks, *((clone.folder / name).read_text() for name in files)]
