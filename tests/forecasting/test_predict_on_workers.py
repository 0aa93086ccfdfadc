"""`lockgate predict` into a folder on a Dask cluster gives what one process gives, with and without faults."""

import json
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import any_problem
import dask_processes
import engine_tasks
import numpy as np
import pandas as pd
import psutil
import pytest

from lockgate.bundle import manifest, store
from lockgate.data import dataset
from lockgate.engine import choice
from lockgate.engine.engine import InProcess
from lockgate.errors import BadConfiguration, BadData, IntegrityBroken, Unavailable
from lockgate.forecaster.answers import answers
from lockgate.lifecycle.stages import Stage
from lockgate.operations import forecast_part, predict_parts
from lockgate.operations.answering_version import AnsweringVersion
from lockgate.operations.load_version import Opened
from lockgate.operations.predict import Order
from lockgate.operations.predict_parts import PartsRun
from lockgate.problem.params import EngineParams

KINDS = ("panel", "state", "table of multiclass")
ALTERED = "table of binary"
SECONDS = 60


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    """By kind: the version, its bundle, and a folder with three parts of rows."""
    found = {}
    for kind in (*KINDS, ALTERED):
        folder = tmp_path_factory.mktemp(kind)
        made, params = any_problem.built(kind, folder, members=("lightgbm",))
        digest = manifest.digest(made.bundle)
        version = AnsweringVersion("model", Opened(7, digest, store.load(made.bundle, digest)), Stage.PRODUCTION)
        rows = dataset.read(made.prepared, "holdout").drop(columns=params.problem.target)
        (folder / "rows").mkdir()
        for number, part in enumerate(_parts(params.problem, rows)):
            part.to_parquet(folder / "rows" / f"part-{number}.parquet", index=False)
        found[kind] = SimpleNamespace(version=version, bundle=made.bundle, rows=folder / "rows", problem=params.problem)
    return found


def _parts(problem, rows):
    """Three parts; of states, each with whole keys."""
    if problem.kind != "state":
        return [rows.iloc[places] for places in np.array_split(np.arange(len(rows)), 3)]
    keys = rows[problem.keys[0]].unique()
    return [rows[rows[problem.keys[0]].isin(some)] for some in np.array_split(keys, 3)]


def on(address):
    return choice.here(EngineParams(kind="dask", address=address), SECONDS)


def run(given, target: Path, engine, bundle: Path | None = None, **more) -> dict:
    """The run as the command does it, with a version that is open already; the manifest."""
    order = Order(given.problem, given.rows, target, False, 0.9, **more)
    parts = predict_parts.readable_parts(order, engine)
    PartsRun(order, parts, given.version, None).forecast(engine, bundle)
    return json.loads((target / "_manifest.json").read_text())


def digests_of(found: dict) -> list[tuple[str, int, str]]:
    return [(part["name"], part["rows"], part["sha256"]) for part in found["parts"]]


@pytest.mark.parametrize("kind", KINDS)
def test_forecasts_of_workers_are_those_of_one_process_bit_for_bit(trained, kind, tmp_path, dask_address):
    given = trained[kind]
    with on(dask_address) as engine:
        by_workers = run(given, tmp_path / "workers", engine, given.bundle)
    here = run(given, tmp_path / "here", InProcess())
    assert digests_of(by_workers) == digests_of(here)
    rows = pd.read_parquet(given.rows)
    expected = answers(given.version.forecaster, rows, 0.9)
    found = pd.read_parquet(tmp_path / "workers")
    assert found[list(rows)].equals(rows)
    for name in expected:
        assert found[name].tolist() == expected[name].tolist()
    assert set(found["model_version"]) == {7}


def test_a_key_of_states_with_rows_in_two_parts_is_refused_before_any_forecast(trained, tmp_path, dask_address):
    given = trained["state"]
    folder = tmp_path / "rows"
    folder.mkdir()
    rows = pd.read_parquet(given.rows)
    rows.iloc[:-3].to_parquet(folder / "a.parquet")
    rows.iloc[-3:].to_parquet(folder / "b.parquet")
    split = SimpleNamespace(**vars(given) | {"rows": folder})
    with on(dask_address) as engine:
        for each in (engine, InProcess()):
            with pytest.raises(BadData, match=rf"unit {rows['unit'].iloc[-1]} has rows in several parts: a.*b"):
                run(split, tmp_path / "out", each, given.bundle)
    assert not list(tmp_path.glob("*out*"))


def test_a_bundle_that_is_altered_on_the_way_is_refused(trained, tmp_path, dask_address):
    """The workers may have the bundle of the earlier tests open; this is another kind."""
    given = trained[ALTERED]
    altered = tmp_path / "bundle"
    altered.mkdir()
    for path in given.bundle.iterdir():
        content = path.read_bytes()
        (altered / path.name).write_bytes(content[:-1] + b"!" if path.name == "lightgbm.txt" else content)
    with on(dask_address) as engine, pytest.raises(IntegrityBroken, match="mismatch") as refusal:
        run(given, tmp_path / "out", engine, altered)
    assert refusal.value.exit_code == 7
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.long
def test_a_worker_that_is_killed_changes_no_byte(trained, tmp_path):
    given = trained["panel"]
    many = SimpleNamespace(**vars(given) | {"rows": tmp_path / "rows"})
    many.rows.mkdir()
    rows = pd.concat([pd.read_parquet(given.rows)] * 100, ignore_index=True)
    for number in range(6):
        rows.to_parquet(many.rows / f"part-{number}.parquet", index=False)
    expected = digests_of(run(many, tmp_path / "expected", InProcess()))
    with dask_processes.running(tmp_path, workers=2) as cluster, on(cluster.address) as engine:
        engine.client.wait_for_workers(2)
        killer = threading.Thread(target=_kill_when_it_writes, args=(cluster, tmp_path))
        killer.start()
        found = run(many, tmp_path / "out", engine, given.bundle)
        killer.join()
    assert digests_of(found) == expected


def _kill_when_it_writes(cluster, folder: Path) -> None:
    """End the processes of the first worker (the nanny and its child) when the first file of a part appears."""
    dask_processes.wait_for(lambda: list(folder.glob(".out.*/work/part-*")))
    for process in reversed(_tree(cluster.workers[0].pid)):
        os.kill(process, signal.SIGKILL)


@pytest.mark.long
def test_what_all_tasks_share_outlives_the_worker_that_has_it(tmp_path):
    with dask_processes.running(tmp_path, workers=2) as cluster, on(cluster.address) as engine:
        engine.client.wait_for_workers(2)
        shared = engine.scatter(7)
        shared.result()
        processes = engine.client.run(os.getpid)
        for [holder] in engine.client.who_has([shared]).values():
            os.kill(psutil.Process(processes[holder]).ppid(), signal.SIGKILL)  # the nanny, which would start another
            os.kill(processes[holder], signal.SIGKILL)
        assert engine.map(engine_tasks.scaled, [1, 2, 3], "scale", shared=(shared,)) == [7, 14, 21]


def _tree(process: int) -> list[int]:
    return [process, *(child.pid for child in psutil.Process(process).children(recursive=True))]


@pytest.mark.long
def test_a_scheduler_that_is_gone_is_unavailable_and_leaves_no_folder(trained, tmp_path):
    given = trained["panel"]
    with dask_processes.running(tmp_path, workers=1) as cluster, on(cluster.address) as engine:
        engine.timeout = 5
        cluster.scheduler.kill()
        with pytest.raises(Unavailable) as refusal:
            run(given, tmp_path / "out", engine, given.bundle)
    assert refusal.value.exit_code == 6
    assert not list(tmp_path.glob("*out*"))


def test_a_worker_with_another_folder_under_the_path_is_named(trained, tmp_path):
    given = trained["panel"]
    order = forecast_part.PartOrder(
        given.problem, None, None, 0.9, tmp_path, tmp_path / "elsewhere", "mark", False, False
    )
    with pytest.raises(BadConfiguration, match="does not see the folder of the output") as refusal:
        forecast_part.forecast_part(None, order, given.version.forecaster)
    assert "the same path" in refusal.value.hint
