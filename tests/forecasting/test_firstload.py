"""Whatever a model does to the process that opens it first, the command that asked for it lives on."""

import pytest
import small_chain

from lockgate import firstload
from lockgate.errors import GateRefused, IntegrityBroken
from lockgate.firstload import Limits
from lockgate.forecast import bundle


@pytest.fixture
def digest(tmp_path):
    return bundle.save(small_chain.forecaster(), tmp_path / "bundle")


def test_a_whole_bundle_tells_what_it_is(tmp_path, digest):
    facts = firstload.open_bundle(tmp_path, digest)
    assert (facts.digest, facts.horizon_days) == (digest, 42)
    assert facts.trained_until == small_chain.parts().cutoff.isoformat()
    assert facts.members == ("lightgbm", "xgboost", "catboost", "ridge")
    assert {len(values) for values in facts.example.values()} == {firstload.EXAMPLE_ROWS}


def test_a_refusal_in_the_child_is_the_refusal_of_the_command(tmp_path, digest):
    with pytest.raises(IntegrityBroken, match="the manifest's digest is") as refusal:
        firstload.open_bundle(tmp_path, "0" * 64)
    assert (refusal.value.exit_code, refusal.value.hint) == (7, "train and register it again")


def test_a_model_that_takes_too_long_is_refused(tmp_path, digest):
    with pytest.raises(GateRefused, match=r"in time or memory \(0\.2 s\)"):
        firstload.in_child("open", {"digest": digest}, tmp_path, Limits(seconds=0.2))


def test_a_model_that_takes_too_much_memory_is_refused(tmp_path, digest):
    with pytest.raises((GateRefused, IntegrityBroken), match=r"in time or memory|ended the process"):
        firstload.in_child("open", {"digest": digest}, tmp_path, Limits(memory=300 << 20))


def test_the_child_does_not_know_where_the_services_are(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    monkeypatch.setenv("LOCKGATE_DATABASE_URL", "postgresql+psycopg2://u:secret@h/d")
    assert "secret" not in str(firstload._environment())
