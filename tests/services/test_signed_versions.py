"""With pinned keys, a version counts only if one of them signed it: for the gate, for forecasts and for rollback."""

import warnings
from dataclasses import replace

import keys
import mlflow
import pytest
from rossmann import PROBLEM

from lockgate.bundle import manifest
from lockgate.errors import BadConfiguration, IntegrityBroken, StateConflict
from lockgate.gate.verdict import policy_digest
from lockgate.operations import load_version, predict, promote, register, validate
from lockgate.operations.confirmed_move import MoveRequest

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
UNSIGNED, UNTRUSTED = "is not signed", "is signed by no key that the policy trusts"


@pytest.fixture
def key(tmp_path, monkeypatch):
    """A new signing key, named in the environment; its public half."""
    public = keys.make(tmp_path / "key.pem")
    monkeypatch.setenv("LOCKGATE_SIGNING_KEY", str(tmp_path / "key.pem"))
    return public


def pinned(params, *trusted):
    return params.policy.model_copy(update={"trusted_keys": list(trusted)})


def test_a_signed_version_passes_and_one_whose_key_was_revoked_is_not_opened_again(
    backend, build, params, key, tmp_path
):
    receipt = register.register(backend, build(1), params)
    policy = pinned(params, key)
    assert validate.validate(backend, receipt, build(1), policy, params.problem).outcome == "passed"
    promote.promote(backend, YES, 1, policy_digest(policy), None)
    assert receipt.bundle_digest == manifest.digest(build(1).bundle)  # the same bundle, signed or not
    row = backend.state().find(1)
    load_version.verify(backend, row)
    other = keys.make(tmp_path / "other.pem")
    for strict in (
        replace(backend, trusted_keys=(other,)),
        _in_force(backend, build(1), receipt, pinned(params, other), params.problem),
    ):
        with pytest.raises(IntegrityBroken, match=UNTRUSTED):
            load_version.verify(strict, row)
        with pytest.raises(IntegrityBroken, match=UNTRUSTED):
            predict.predict(strict, _order(build(1), tmp_path), 1)
    assert not (tmp_path / "forecast.csv").exists()


def _in_force(backend, build, receipt, policy, problem):
    """The policy comes into force by a run of the gate, which the version does not survive."""
    with pytest.raises(IntegrityBroken, match=UNTRUSTED):
        validate.validate(backend, receipt, build, policy, problem)
    return backend


def _order(build, tmp_path):
    return predict.Order(PROBLEM, build.prepared / "holdout.parquet", tmp_path / "forecast.csv", False, 0.95)


def test_an_unsigned_version_that_has_passed_is_not_promoted_once_keys_are_pinned(
    backend, validated, build, params, key, monkeypatch
):
    monkeypatch.delenv("LOCKGATE_SIGNING_KEY")
    passed = validated()
    assert passed.outcome == "passed"
    policy = pinned(params, key)
    with pytest.raises(StateConflict, match="another policy"):
        promote.promote(backend, YES, 1, policy_digest(policy), None)
    receipt = register.register(backend, build(1), params)
    with pytest.raises(IntegrityBroken, match=UNSIGNED):
        validate.validate(backend, receipt, build(1), policy, params.problem)
    with pytest.raises(StateConflict, match="another policy than the one in force"):
        promote.promote(backend, YES, 1, passed.digests.policy_digest, None)


def test_mlflow_loads_a_version_by_the_keys_in_its_environment(backend, build, params, key, tmp_path, monkeypatch):
    register.register(backend, build(1), params)
    mlflow.set_tracking_uri(backend.addresses.tracking_uri)
    mlflow.set_registry_uri(backend.addresses.tracking_uri)
    for trusted in ("", key):
        monkeypatch.setenv("LOCKGATE_TRUSTED_KEYS", trusted)
        assert load(backend).metadata.signature is not None
    monkeypatch.setenv("LOCKGATE_TRUSTED_KEYS", keys.make(tmp_path / "other.pem"))
    with pytest.raises(IntegrityBroken, match=UNTRUSTED):
        load(backend)


def load(backend):
    """As `mlflow models serve` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlflow.pyfunc.load_model(f"models:/{backend.model}/1")


def test_an_unfit_key_stops_a_registration_before_anything_is_written(backend, build, params, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCKGATE_SIGNING_KEY", str(tmp_path / "nowhere.pem"))
    with pytest.raises(BadConfiguration, match="the signing key cannot be read"):
        register.register(backend, build(1), params)
    mlflow.set_tracking_uri(backend.addresses.tracking_uri)
    mlflow.set_registry_uri(backend.addresses.tracking_uri)
    client = mlflow.MlflowClient()
    assert client.search_registered_models(f"name = '{backend.model}'") == []
