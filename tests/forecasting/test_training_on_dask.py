"""A training on the partitions of a panel gives what a training in this process gives; so do the tasks of a table."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import dask_processes
import numpy as np
import pandas as pd
import panel_tables
import partition_files
import plain_tables
import pytest
import small_chain
from distributed import LocalCluster

from lockgate.bundle import store
from lockgate.bundle.snapshot import snapshot_of
from lockgate.engine import choice
from lockgate.errors import WorkerLost
from lockgate.evaluation import leakage
from lockgate.models.conformal import coverage
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import EngineParams
from lockgate.training import distributed, fits_on_workers, report_files, train
from lockgate.training.partitions import Source

SECONDS = 60
TOLERANCE = 0.05  # of the metric on the holdout, relative (docs/how-to/dask.md)
READ = """
import sys
sys.modules["dask"] = sys.modules["distributed"] = None
from pathlib import Path
import numpy as np, pandas as pd
from lockgate.bundle import store
forecaster = store.load(Path(sys.argv[1]), sys.argv[2])
np.save(sys.argv[4], forecaster.predict(pd.read_pickle(sys.argv[3])))
"""


@pytest.fixture(scope="module")
def one_worker():
    """A worker with as many threads as the params have: they change the sums of the boosters."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster:
        yield cluster.scheduler_address


def chain(folder: Path, files: int) -> Source:
    return partition_files.source(folder, small_chain.parts().rows, small_chain.chain().stores, "Store", files)


def on(address: str, given: Source, params, progress=lambda *_: None):
    with choice.here(EngineParams(kind="dask", address=address), SECONDS) as engine:
        return distributed.train(distributed.Training(given, params, engine, progress))


def digest(forecaster, rows, folder) -> str:
    """The digest of the files of a bundle: of each array, booster and weight, and of the snapshot."""
    return store.save(forecaster, folder / "bundle", snapshot_of(forecaster, rows))


def holdout_score(forecaster) -> float:
    rows = small_chain.parts().holdout
    opened = rows[rows["Open"] == 1].reset_index(drop=True)
    return METRICS["rmspe"].score(opened["Sales"].to_numpy(float), forecaster.predict(opened.drop(columns="Sales")))


@cache
def trained_by_day():
    rows, static = panel_tables.rows("day")
    return train.train(rows, static, by_day(), lambda *_: None)[0]


def by_day():
    params = small_chain.params()
    training = params.training.model_copy(update={"fold_ends_days_ago": [0, 14], "min_history_days": 60})
    return params.model_copy(update={"problem": panel_tables.problem("day"), "training": training})


@pytest.mark.parametrize("files", [1, 3])
def test_on_one_worker_the_bundle_equals_that_of_a_training_in_process(files, one_worker, tmp_path):
    found = on(one_worker, chain(tmp_path, files), small_chain.params())
    here = small_chain.forecaster()
    assert digest(found.forecaster, found.rows, tmp_path) == digest(here, small_chain.parts().rows, tmp_path)


def test_a_described_panel_with_static_features_is_equal_too(one_worker, tmp_path):
    rows, static = panel_tables.rows("day")
    found = on(one_worker, partition_files.source(tmp_path, rows, static, "shop", 2), by_day())
    assert digest(found.forecaster, found.rows, tmp_path) == digest(trained_by_day(), rows, tmp_path)


def test_on_two_workers_all_but_the_boosters_is_equal_and_the_metric_is_near(dask_address, tmp_path):
    here, said = small_chain.forecaster(), []
    found = on(dask_address, chain(tmp_path, 3), small_chain.params(), lambda *step: said.append(step[0]))
    there = found.forecaster
    for name, values in here.state.arrays().items():
        assert np.array_equal(values, there.state.arrays()[name], equal_nan=values.dtype.kind == "f"), name
    assert there.weights == here.weights
    assert np.array_equal(there.calibration.spread, here.calibration.spread)
    assert np.array_equal(there.calibration.quantiles, here.calibration.quantiles)
    assert holdout_score(there) == pytest.approx(holdout_score(here), rel=TOLERANCE)
    assert said.count("states and training rows of the partitions") == 6  # three files, cut for two workers


def test_without_boosters_on_the_workers_the_bundle_is_equal_and_no_rows_are_joined(dask_address, tmp_path):
    params, said = small_chain.params(), []
    params = params.model_copy(update={"problem": params.problem.model_copy(update={"members": ("linear",)})})
    here = train.train(small_chain.parts().rows, small_chain.chain().stores, params, lambda *_: None)[0]
    found = on(dask_address, chain(tmp_path, 3), params, lambda *step: said.append(step[0]))
    rows = small_chain.parts().rows
    assert digest(found.forecaster, found.rows, tmp_path) == digest(here, rows, tmp_path)
    assert fits_on_workers.JOINING not in said


def test_the_bundle_is_read_where_dask_cannot_be_imported(dask_address, tmp_path):
    found = on(dask_address, chain(tmp_path, 2), small_chain.params())
    saved, asked, answer = digest(found.forecaster, found.rows, tmp_path), tmp_path / "asked", tmp_path / "answer.npy"
    small_chain.asked().to_pickle(asked)
    subprocess.run([sys.executable, "-c", READ, tmp_path / "bundle", saved, asked, answer], check=True, timeout=120)
    assert np.array_equal(np.load(answer), found.forecaster.predict(small_chain.asked()))


def test_a_sample_of_the_keys_is_said_and_all_keys_have_calibrated_intervals(dask_address, tmp_path):
    whole, said = small_chain.params(), []
    params = whole.model_copy(update={"engine": EngineParams(sample_keys=10)})
    found = on(dask_address, chain(tmp_path, 2), params, lambda *step: said.append(step[0]))
    assert "a sample of 10 of 12 keys" in said
    assert "catboost learns the sample of 10 keys: it has no interface of Dask" in said
    recorded = report_files.metrics(found.report)
    assert [recorded[f"dask_{name}"] for name in ("partitions", "workers", "keys", "sample_keys")] == [2, 2, 12, 10]
    assert 0 < recorded["dask_sample_rows"] < recorded["training_rows"]
    assert found.forecaster.calibration.spread.shape == (12,)
    rows = small_chain.parts().holdout.query("Open == 1").reset_index(drop=True)
    bounds = found.forecaster.interval(rows.drop(columns="Sales"), 0.8)
    assert coverage(rows["Sales"].to_numpy(float), bounds) > 0.6
    assert holdout_score(found.forecaster) < 1.5 * holdout_score(small_chain.forecaster())
    stored = store.load(tmp_path / "bundle", store.save(found.forecaster, tmp_path / "bundle"))
    np.testing.assert_array_equal(stored.sample, found.forecaster.sample)
    assert leakage.check(stored, small_chain.parts().rows).history_mismatch == ()
    of_all_keys = replace(stored, sample=None)
    assert leakage.check(of_all_keys, small_chain.parts().rows).history_mismatch != ()


def test_boosters_of_some_keys_are_said_and_all_else_is_learned_of_all_keys(dask_address, tmp_path):
    whole, here, said = small_chain.params(), small_chain.forecaster(), []
    params = whole.model_copy(update={"engine": EngineParams(booster_keys=10)})
    found = on(dask_address, chain(tmp_path, 3), params, lambda *step: said.append(step[0]))
    recorded = report_files.metrics(found.report)
    assert (recorded["dask_keys"], recorded["dask_sample_keys"], recorded["dask_booster_keys"]) == (12, 12, 10)
    assert recorded["training_rows"] < 0.9 * recorded["dask_sample_rows"]  # those of CatBoost: all keys
    assert f"lightgbm, {recorded['training_rows']} rows of 10 of 12 keys on 2 workers" in said
    for name, values in here.state.arrays().items():
        assert np.array_equal(values, found.forecaster.state.arrays()[name], equal_nan=values.dtype.kind == "f"), name
    assert np.array_equal(found.forecaster.calibration.quantiles, here.calibration.quantiles)
    assert np.array_equal(found.forecaster.calibration.spread, here.calibration.spread)
    assert holdout_score(found.forecaster) < 1.5 * holdout_score(here)


@pytest.mark.parametrize("task", ["regression", pytest.param("multiclass", marks=pytest.mark.long)])
def test_a_plain_table_is_equal_on_every_engine(task, dask_address, tmp_path):
    rows, params = plain_tables.rows(task, 300), plain_tables.params(task)
    with choice.here(EngineParams(kind="dask", address=dask_address), SECONDS) as engine:
        there = train.train(rows, pd.DataFrame(), params, lambda *_: None, engine)[0]
    here = train.train(rows, pd.DataFrame(), params, lambda *_: None)[0]
    assert digest(there, rows, tmp_path) == digest(here, rows, tmp_path)


@pytest.mark.long
def test_a_repeat_on_the_same_number_of_workers_gives_the_same_bundle(dask_address, tmp_path):
    """Wherever Dask has learned a partition, and whichever ports LightGBM uses."""
    trainings = [on(dask_address, chain(tmp_path, 3), small_chain.params()) for _ in range(2)]
    one, other = (digest(each.forecaster, each.rows, tmp_path) for each in trainings)
    assert one == other


@pytest.mark.long
def test_a_worker_whose_keys_are_never_learned_changes_nothing(dask_address, tmp_path):
    """LightGBM finds the bins of some features from the rows of each worker alone."""
    rows, static = small_chain.parts().rows.copy(), small_chain.chain().stores
    rows.loc[rows["Store"] > rows["Store"].median(), ["Open", "Sales"]] = 0
    found = on(dask_address, partition_files.source(tmp_path, rows, static, "Store", 2), small_chain.params())
    here = train.train(rows, static, small_chain.params(), lambda *_: None)[0]
    asked = small_chain.asked()
    assert report_files.metrics(found.report)["dask_workers"] == 1
    np.testing.assert_allclose(found.forecaster.predict(asked), here.predict(asked), rtol=1e-3)


@pytest.mark.long
def test_a_worker_out_of_memory_is_an_error_that_names_the_partition(tmp_path):
    with dask_processes.running(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster:
        cluster.add_worker("--memory-limit", "800MB")
        given = Source(3, partial(partition_files.read_too_much, str(tmp_path)), chain(tmp_path, 3).static)
        with pytest.raises(WorkerLost, match="keys of the partitions, part 3 of 3"):
            on(cluster.address, given, small_chain.params())
