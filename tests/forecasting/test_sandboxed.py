"""A candidate's first opening: whatever it does to its process, this one goes on and says what happened."""

import os
import shutil
from dataclasses import replace

import any_problem
import broken_bundles
import numpy as np
import pytest
import small_chain

from lockgate.bundle import manifest, store
from lockgate.data import dataset
from lockgate.data.ingest import Tables
from lockgate.engine import choice
from lockgate.errors import BadConfiguration, GateRefused, IntegrityBroken
from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import Failure, Request, SandboxFailed
from lockgate.models.members import MEMBERS
from lockgate.problem.params import EngineParams
from lockgate.system import sandbox
from lockgate.system.sandbox import Limits

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path):
    store.save(small_chain.forecaster(), tmp_path / "a bundle")
    return tmp_path / "a bundle"


def held(folder, digest, rows=None, limits=sandboxed.FORECAST_LIMITS):
    return sandboxed.forecast(
        Request(str(folder), digest, (0, 7)), small_chain.asked() if rows is None else rows, limits
    )


def test_the_child_gives_the_forecasts_that_this_process_gives(folder):
    rows, forecaster = small_chain.asked(), small_chain.forecaster()
    found = held(folder, store.save(forecaster, folder))
    assert np.array_equal(found.together, forecaster.predict(rows))
    assert np.array_equal(found.alone, found.together[[0, 7]])
    assert np.array_equal(found.linear, forecaster.predict_members(rows)[:, forecaster.members.index("ridge")])
    assert (found.trained_until, found.covered.all()) == (forecaster.state.cutoff, True)


@pytest.mark.parametrize("kind", ["panel", "state", "table of multiclass"])
def test_many_rows_are_forecast_in_pieces_with_the_forecasts_of_one_batch(kind, tmp_path, monkeypatch):
    made, params = any_problem.built(kind, tmp_path, members=("lightgbm",))
    forecaster = store.load(made.bundle, manifest.digest(made.bundle))
    rows = dataset.read(made.prepared, "holdout").drop(columns=params.problem.target).sample(frac=1, random_state=1)
    rows = rows.reset_index(drop=True)
    one = np.full(sandboxed._width(forecaster), np.nan)
    together = sandboxed._in_pieces(forecaster, rows, (0.5, 0.8), one)
    monkeypatch.setattr(sandboxed, "PIECE", len(rows) // 3)
    assert len(sandboxed._pieces(forecaster.problem, rows)) > 1
    in_pieces = sandboxed._in_pieces(forecaster, rows, (0.5, 0.8), one)
    assert in_pieces.keys() == together.keys()
    for name in together:
        np.testing.assert_array_equal(in_pieces[name], together[name])


def test_the_limits_of_a_child_grow_with_the_rows():
    usual, many = sandboxed.forecast_limits(1_000_000), sandboxed.forecast_limits(4_000_000)
    assert usual == sandboxed.FORECAST_LIMITS
    assert (many.wall_seconds, many.cpu_seconds) == (4 * usual.wall_seconds, 4 * usual.cpu_seconds)
    assert many.memory_bytes > usual.memory_bytes
    checked = sandboxed.forecast_limits(1_000_000, 30_000_000)
    assert (checked.wall_seconds, checked.memory_bytes) == (3 * usual.wall_seconds, usual.memory_bytes)


def test_a_bundle_that_is_sent_to_a_worker_gives_the_same_and_a_changed_one_is_refused(folder, dask_address):
    request = Request(str(folder), store.save(small_chain.forecaster(), folder), (0, 7))
    sent, rows = sandboxed.sent(request, sandboxed.FORECAST_LIMITS), small_chain.asked()
    name = next(name for name in sent.files if name != "manifest.json")
    changed = replace(sent, files=sent.files | {name: sent.files[name] + b" "})
    elsewhere = replace(sent, request=replace(request, prepared=str(folder / "not here")))
    with choice.here(EngineParams(kind="dask", address=dask_address), 300) as engine:
        on_workers = engine.map(sandboxed.forecast_sent, [sent, sent], "score", shared=(engine.scatter(rows),))
        with pytest.raises(IntegrityBroken):
            engine.map(sandboxed.forecast_sent, [changed], "score", shared=(rows,))
        with pytest.raises(BadConfiguration, match="does not see"):
            engine.map(sandboxed.forecast_sent, [elsewhere], "score", shared=(rows,))
    here = held(folder, request.digest)
    for found in on_workers:
        assert (found.together.tobytes(), found.bounds.tobytes()) == (here.together.tobytes(), here.bounds.tobytes())
        assert (found.classes, found.trained_until) == (here.classes, here.trained_until)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (broken_bundles.truncated, "its process was ended by SIG"),
        (broken_bundles.enormous, "it needs more memory than it may have"),
        (broken_bundles.undescribed, "the bundle cannot be read by this version: 'weights'"),
    ],
)
def test_a_bundle_that_kills_its_process_or_cannot_be_read_is_a_failure_with_its_reason(folder, broken, says):
    found = held(folder, broken(folder), limits=replace(sandboxed.FORECAST_LIMITS, memory_bytes=600 * MIB))
    assert isinstance(found, Failure)
    assert found.reason.startswith(says)


def test_a_bundle_that_never_ends_is_ended_by_its_cpu_time(folder):
    found = held(folder, broken_bundles.endless(folder), limits=replace(sandboxed.FORECAST_LIMITS, cpu_seconds=1))
    assert found == Failure("it did not end within 300 s, or 1 s of CPU time")


def test_a_child_that_is_silent_is_ended_by_the_clock(folder):
    digest = store.save(small_chain.forecaster(), folder)
    found = held(folder, digest, limits=replace(sandboxed.FORECAST_LIMITS, wall_seconds=0.2))
    assert found == Failure("it did not end within 0.2 s, or 600 s of CPU time")


def test_rows_that_it_cannot_forecast_are_marked_and_have_no_number(folder):
    digest = store.save(small_chain.forecaster(), folder)
    rows = small_chain.asked().head(20).assign(Store=[4711, *small_chain.asked()["Store"][1:20]])
    found = held(folder, digest, rows)
    assert found.covered.tolist() == [False] + 19 * [True]
    assert np.isnan([found.together[0], found.alone[0], found.linear[0]]).all()
    assert np.isfinite([*found.together[1:], found.alone[1]]).all()


def test_a_changed_byte_is_no_failure_but_a_broken_integrity(folder):
    digest = store.save(small_chain.forecaster(), folder)
    os.truncate(folder / "lightgbm.txt", 1000)
    with pytest.raises(IntegrityBroken, match=r"lightgbm\.txt sha256 mismatch"):
        held(folder, digest)


def test_an_explanation_that_raises_is_said_and_the_forecasts_count_as_ever(folder, tmp_path, monkeypatch):
    """Explanations are for reading; the gate does not depend on them."""
    shutil.copytree(sandbox.PACKAGE_FOLDER, tmp_path / "src")
    with (tmp_path / "src/lockgate/forecaster/explanation_records.py").open("a", encoding="utf-8") as code:
        code.write('\n\ndef explained(*_):\n    raise ValueError("no tree\\nhas it")\n')
    monkeypatch.setattr(sandbox, "PACKAGE_FOLDER", tmp_path / "src")
    chain = small_chain.chain()
    any_problem.prepare(small_chain.params().problem, Tables(chain.rows, chain.stores), tmp_path / "prepared")
    rows = dataset.read(tmp_path / "prepared", "holdout").drop(columns="Sales")
    request = Request(str(folder), store.save(small_chain.forecaster(), folder), (), str(tmp_path / "prepared"))
    found = sandboxed.forecast(request, rows)
    assert (found.explained, found.unexplained) == ([], "ValueError: no tree")
    assert np.array_equal(found.together, small_chain.forecaster().predict(rows))


@pytest.fixture
def digest(tmp_path):
    return store.save(small_chain.forecaster(), tmp_path / "bundle")


def test_a_whole_bundle_tells_what_it_is(tmp_path, digest):
    facts = sandboxed.open_bundle(tmp_path, digest)
    assert (facts.digest, facts.horizon_days) == (digest, 42)
    assert facts.trained_until == small_chain.parts().cutoff
    assert facts.members == (*MEMBERS, "ridge")
    assert {len(values) for values in facts.example.values()} == {sandboxed.EXAMPLE_ROWS}


def test_a_refusal_in_the_child_is_the_refusal_of_the_command(tmp_path, digest):
    with pytest.raises(IntegrityBroken, match="the manifest's digest is") as refusal:
        sandboxed.open_bundle(tmp_path, "0" * 64)
    assert (refusal.value.exit_code, refusal.value.hint) == (7, "train and register it again")


TIGHT = {"wall_seconds": 0.2, "cpu_seconds": 60, "memory_bytes": 4 << 30, "file_bytes": 2 << 30}


@pytest.mark.parametrize("tight", [{}, {"wall_seconds": 60, "memory_bytes": 1 << 20}], ids=["too slow", "too big"])
def test_a_model_that_goes_beyond_its_limits_is_refused(tmp_path, digest, tight):
    with pytest.raises(SandboxFailed, match=r"did not end within|more memory|exit code"):
        sandboxed.run("open", {"bundle": str(tmp_path / "bundle"), "digest": digest}, tmp_path, Limits(**TIGHT | tight))


def test_a_child_that_dies_is_a_refusal_of_the_command_and_a_failure_of_the_version(tmp_path, folder):
    digest = broken_bundles.truncated(folder)
    folder.rename(tmp_path / "bundle")
    with pytest.raises(GateRefused, match="the model cannot be opened: its process was ended by SIG"):
        sandboxed.open_bundle(tmp_path, digest)
    failure = sandboxed.failure_to_open(tmp_path / "bundle", digest)
    assert failure is not None and failure.reason.startswith("its process was ended by SIG")


def test_a_whole_bundle_can_be_opened(tmp_path, digest):
    assert sandboxed.failure_to_open(tmp_path / "bundle", digest) is None
