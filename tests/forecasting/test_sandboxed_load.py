"""Whatever a model does to the process that opens it first, the command that asked for it lives on."""

import pytest
import small_chain

from lockgate.bundle import store
from lockgate.errors import GateRefused, IntegrityBroken
from lockgate.evaluation import sandboxed_load
from lockgate.system.sandbox import Limits


@pytest.fixture
def digest(tmp_path):
    return store.save(small_chain.forecaster(), tmp_path / "bundle")


def test_a_whole_bundle_tells_what_it_is(tmp_path, digest):
    facts = sandboxed_load.open_bundle(tmp_path, digest)
    assert (facts.digest, facts.horizon_days) == (digest, 42)
    assert facts.trained_until == small_chain.parts().cutoff.isoformat()
    assert facts.members == ("lightgbm", "xgboost", "catboost", "ridge")
    assert {len(values) for values in facts.example.values()} == {sandboxed_load.EXAMPLE_ROWS}


def test_a_refusal_in_the_child_is_the_refusal_of_the_command(tmp_path, digest):
    with pytest.raises(IntegrityBroken, match="the manifest's digest is") as refusal:
        sandboxed_load.open_bundle(tmp_path, "0" * 64)
    assert (refusal.value.exit_code, refusal.value.hint) == (7, "train and register it again")


TIGHT = {"wall_seconds": 0.2, "cpu_seconds": 60, "memory_bytes": 4 << 30, "file_bytes": 2 << 30}


@pytest.mark.parametrize("tight", [{}, {"wall_seconds": 60, "memory_bytes": 1 << 20}], ids=["too slow", "too big"])
def test_a_model_that_goes_beyond_its_limits_is_refused(tmp_path, digest, tight):
    with pytest.raises(GateRefused, match=r"cannot be opened|more memory"):
        sandboxed_load.in_child("open", {"digest": digest}, tmp_path, Limits(**TIGHT | tight))
