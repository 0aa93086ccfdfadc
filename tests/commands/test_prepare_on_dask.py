"""A panel that is prepared on a Dask cluster: the bytes are those of the engine of one process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask_processes
import numpy as np
import pandas as pd
import pytest
import yaml

from lockgate.data import dataset, ingest
from lockgate.engine import dask_cluster
from lockgate.engine.engine import Engine, InProcess, silent
from lockgate.errors import BadConfiguration, BadData
from lockgate.pipeline import prepare as prepare_stage
from lockgate.pipeline.prepare_in_parts import Plan, prepare
from lockgate.problem.description import Problem, SourceFile

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
VISITS = Problem.model_validate(
    {
        "name": "visits",
        "sources": [{"file": "visits.csv"}],
        "keys": ["shop"],
        "time": {"column": "day", "period": "integer"},
        "target": "visits",
        "horizon": 7,
        "known_covariates": ["promo"],
        "columns": {
            "shop": {"type": "integer", "range": [0, 1000000]},
            "day": {"type": "integer", "range": [0, 10000]},
            "visits": {"type": "number"},
            "promo": {"type": "flag"},
        },
        "metric": "mae",
    }
)


def write(folder: Path, shops: int, days: int, parts: int) -> None:
    """Raw parts in which the rows of each shop are spread over all parts."""
    (folder / "visits.csv").mkdir(parents=True)
    for part in range(parts):
        day, shop = np.meshgrid(np.arange(part, days, parts), np.arange(shops), indexing="ij")
        rows = pd.DataFrame({"shop": shop.ravel(), "day": day.ravel()})
        rows = rows.assign(visits=(rows["shop"] * 31 + rows["day"] * 17) % 101, promo=rows["day"] % 2)
        rows.to_csv(folder / "visits.csv" / f"part-{part}.csv", index=False)


def prepared(
    folder: Path, name: str, engine: Engine, part_rows: int, progress=silent, problem: Problem = VISITS
) -> Path:
    plan = Plan(problem, folder / name, part_rows, engine, progress)
    prepare(plan, ingest.raw_files(problem, folder, "files") or ())
    return folder / name


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def on(address: str) -> Iterator[Engine]:
    with dask_cluster.connected(address, SECONDS) as engine:
        yield engine


def test_a_cluster_gives_the_bytes_of_one_process(tmp_path: Path, dask_address: str) -> None:
    write(tmp_path, shops=60, days=70, parts=5)
    with on(dask_address) as engine:
        found = prepared(tmp_path, "dask", engine, 600)
    assert bytes_of(found) == bytes_of(prepared(tmp_path, "process", InProcess(), 600))
    assert len(dataset.parts(found, "rows")) == 7


def test_a_refusal_comes_from_the_worker_with_part_and_line(tmp_path: Path, dask_address: str) -> None:
    write(tmp_path, shops=60, days=70, parts=5)
    path = tmp_path / "visits.csv" / "part-3.csv"
    path.write_text(path.read_text() + "7,11,lots,0\n")
    with on(dask_address) as engine, pytest.raises(BadData, match=r"visits is 'lots'.*part-3.csv, line 842"):
        prepared(tmp_path, "prepared", engine, 600)
    assert [each.name for each in tmp_path.iterdir()] == ["visits.csv"]


def test_a_worker_that_does_not_see_the_folder_is_named_before_any_work(
    dask_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Under the path of a process to its own folder, each process sees another folder."""
    monkeypatch.chdir(tmp_path)
    with (
        on(dask_address) as engine,
        pytest.raises(BadConfiguration, match=r"worker tcp://.* does not see /proc/self/cwd"),
    ):
        engine.require_visible(Path("/proc/self/cwd"))


def test_the_stage_prepares_in_parts_where_a_cluster_is_named(tmp_path: Path, dask_address: str) -> None:
    write(tmp_path / "raw", shops=20, days=70, parts=2)
    gate = yaml.safe_load((ROOT / "params.yaml").read_text())["gate"]
    described = {"problem": VISITS.model_dump(mode="json", exclude_unset=True), "gate": gate}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(described | {"engine": {"part_rows": 400}}))
    done = subprocess.run(
        [sys.executable, "-m", "lockgate.pipeline.prepare", "raw", "prepared"], cwd=tmp_path, text=True,
        capture_output=True, env=os.environ | {"LOCKGATE_DASK": dask_address, "LOCKGATE_TIMEOUT": "60"},
    )  # fmt: skip
    assert done.stdout == "1,260 rows to train on in 4 parts, 140 held out after 62\n", done.stderr
    assert "split and write: 4 of 4" in done.stderr
    assert len(dataset.read(tmp_path / "prepared", "rows")) == 1260


def test_a_table_without_keys_is_prepared_in_one_process_and_the_stage_says_so(
    tmp_path: Path, dask_address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "raw", shops=20, days=10, parts=2)
    described = VISITS.model_dump(mode="json", exclude_unset=True, exclude={"keys", "time", "horizon"})
    gate = yaml.safe_load((ROOT / "params.yaml").read_text())["gate"]
    plain = described | {"known_covariates": ["promo", "shop", "day"]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"problem": plain, "gate": gate}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCKGATE_DASK", dask_address)
    monkeypatch.setenv("LOCKGATE_TIMEOUT", "60")
    prepare_stage.main(Path("raw"), Path("prepared"))
    assert [path.name for path in dataset.parts(Path("prepared"), "rows")] == ["rows.parquet"]
    assert "prepared in this process: only a panel has parts, by its keys" in capsys.readouterr().err


@pytest.mark.long
def test_a_worker_that_is_killed_changes_no_byte(tmp_path: Path) -> None:
    write(tmp_path, shops=100, days=100, parts=8)
    with dask_processes.running(tmp_path, workers=2) as cluster, on(cluster.address) as engine:

        def kill_one(name: str, done: int, _: int) -> None:
            if (name, done) == ("check rows by key", 1):
                cluster.workers[0].kill()

        found = prepared(tmp_path, "prepared", engine, 1000, kill_one)
    assert bytes_of(found) == bytes_of(prepared(tmp_path, "process", InProcess(), 1000))


WORKERS, LIMIT = 3, 400  # megabytes of a worker; the libraries take 250
WIDE = tuple(f"measure_{number}" for number in range(40))
WIDE_VISITS = VISITS.model_copy(
    update={
        "sources": (SourceFile(file="visits.parquet", format="parquet"),),
        "known_covariates": WIDE,
        "columns": {name: VISITS.columns[name] for name in ("shop", "day", "visits")}
        | dict.fromkeys(WIDE, VISITS.columns["visits"]),
    }
)


def write_wide(folder: Path, shops: int, days: int, parts: int) -> int:
    """Raw parts of a wide table, and their bytes in memory."""
    (folder / "visits.parquet").mkdir()
    size = 0
    for part in range(parts):
        day, shop = np.meshgrid(np.arange(part, days, parts), np.arange(shops), indexing="ij")
        rows = pd.DataFrame({"shop": shop.ravel(), "day": day.ravel()}, dtype=np.int32)
        noise = (rows["shop"] * 31 + rows["day"] * 17).to_numpy()
        rows = rows.assign(visits=noise % 101.0, **{name: (noise + each) % 97.0 for each, name in enumerate(WIDE)})
        size += int(rows.memory_usage(index=False).sum())
        rows.to_parquet(folder / "visits.parquet" / f"part-{part}.parquet")
    return size


@pytest.mark.long
def test_a_table_larger_than_the_memory_of_all_workers_is_prepared(tmp_path: Path) -> None:
    """A worker above its limit would be ended; no worker is."""
    size = write_wide(tmp_path, shops=9000, days=420, parts=14)
    assert size > WORKERS * LIMIT * 1e6
    with dask_processes.running(tmp_path) as cluster:
        for _ in range(WORKERS):
            cluster.add_worker("--memory-limit", f"{LIMIT}MB")
        with on(cluster.address) as engine:
            folder = prepared(tmp_path, "prepared", engine, 100_000, problem=WIDE_VISITS)
        assert "exceeded" not in "".join(cluster.log(worker) for worker in range(WORKERS))
    card = json.loads((folder / "card.json").read_text())
    assert card["rows"]["count"] + card["holdout"]["count"] == 9000 * 420
