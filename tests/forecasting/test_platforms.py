"""The same bundle forecasts the same on another machine, and the same training makes the same bundle."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_chain
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

from lockgate.bundle import store
from lockgate.forecaster import interface

SAME = 1e-9
THIS_CPU_CAN = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
OTHER_MACHINES = {
    "one core": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    "four cores": {"OPENBLAS_NUM_THREADS": "4", "OMP_NUM_THREADS": "4"},
    "an older BLAS kernel": {"OPENBLAS_CORETYPE": "Prescott"},
    "no vector instructions beyond the oldest": {"NPY_DISABLE_CPU_FEATURES": " ".join(THIS_CPU_CAN)},
}
PRINT_FORECASTS = """
import json, sys, pandas as pd
from pathlib import Path
from lockgate.bundle import store as bundle
folder = Path(sys.argv[1])
rows = pd.read_parquet(folder / "rows.parquet")
print(json.dumps(bundle.load(folder / "bundle", sys.argv[2]).predict(rows).tolist()))
"""
PRINT_DIGEST = """
import sys, small_chain
from pathlib import Path
from lockgate.bundle import store as bundle
print(bundle.save(small_chain.forecaster(), Path(sys.argv[1]) / "bundle"))
"""


def printed(code, variables, *words):
    """What another process prints, on this machine as if it were another."""
    paths = os.pathsep.join([str(Path(small_chain.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths} | variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "machine", [pytest.param(name, marks=pytest.mark.long if name == "one core" else ()) for name in OTHER_MACHINES]
)
def test_another_machine_forecasts_the_same(machine, tmp_path):
    rows, here = small_chain.asked(), small_chain.forecaster()
    digest = store.save(here, tmp_path / "bundle")
    rows.to_parquet(tmp_path / "rows.parquet")
    there = json.loads(printed(PRINT_FORECASTS, OTHER_MACHINES[machine], tmp_path, digest))
    np.testing.assert_allclose(there, here.predict(rows), rtol=SAME)


@pytest.mark.parametrize("last_digits", range(5))
def test_noise_in_the_last_digit_of_all_that_it_remembers_changes_no_forecast(last_digits):
    """As another machine would have computed the ridge, from which the boosters start and to which features relate."""
    here, rows = small_chain.forecaster(), small_chain.asked()
    ridge, rng = here.state.history.ridge, np.random.default_rng(last_digits)
    moved = replace(ridge, coefficients=one_off(ridge.coefficients, rng), effects=one_off(ridge.effects, rng))
    assert not np.array_equal(moved.coefficients, ridge.coefficients)
    history = replace(here.state.history, ridge=moved)
    there = replace(here, state=replace(here.state, history=history))
    np.testing.assert_allclose(there.predict(rows), here.predict(rows), rtol=SAME)
    for bound in ("lower", "upper"):
        found, expected = (getattr(each.interval(rows, 0.8), bound) for each in (there, here))
        np.testing.assert_allclose(found, expected, rtol=SAME)


def one_off(values, rng):
    """Each value moved to the number beside it, up or down."""
    return np.nextafter(values, np.where(rng.random(values.shape) < 0.5, np.inf, -np.inf))


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_the_number_of_threads_does_not_change_a_forecast(threads, monkeypatch):
    here, rows = small_chain.forecaster(), small_chain.asked()
    usual = here.predict(rows)
    monkeypatch.setattr(interface, "SMALL_BATCH", 0)
    monkeypatch.setattr(interface, "cpu_count", lambda: threads)
    assert np.array_equal(here.predict(rows), usual)


@pytest.mark.parametrize("machine", [pytest.param("one core", marks=pytest.mark.long), "four cores"])
def test_another_process_with_another_number_of_cores_trains_the_same_bundle(machine, tmp_path):
    """`threads` in params.yaml is that of the boosters; what the machine has beside it must not matter."""
    here = store.save(small_chain.forecaster(), tmp_path / "here")
    assert printed(PRINT_DIGEST, OTHER_MACHINES[machine], tmp_path) == here
