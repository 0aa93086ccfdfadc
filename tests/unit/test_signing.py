"""A signature counts if a key that is trusted made it over this very manifest."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import keys
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lockgate.bundle import manifest, signing
from lockgate.errors import BadConfiguration, IntegrityBroken
from lockgate.problem.params import load_params

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    """A bundle, as far as a signature goes: its manifest."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(manifest.written({"a": b"1"}))
    return folder


@pytest.fixture
def key(tmp_path):
    return tmp_path / "key.pem"


def sign(folder, key):
    (folder / "manifest.sig").write_bytes(signing.signed(folder, {"LOCKGATE_SIGNING_KEY": str(key)}))


def refused(folder, trusted, match):
    with pytest.raises(IntegrityBroken, match=match) as refusal:
        signing.require(folder, manifest.digest(folder), trusted)
    assert refusal.value.exit_code == 7


def test_a_bundle_that_a_trusted_key_signed_is_accepted(folder, key, tmp_path):
    public, other = keys.make(key), keys.make(tmp_path / "other.pem")
    sign(folder, key)
    signing.require(folder, manifest.digest(folder), [other, public])


def test_without_trusted_keys_nothing_is_asked_for(folder):
    signing.require(folder, manifest.digest(folder), [])


def test_a_missing_signature_is_refused(folder, key):
    refused(folder, [keys.make(key)], "is not signed")


def test_a_signature_by_a_key_that_is_unknown_or_was_taken_off_the_list_is_refused(folder, key, tmp_path):
    keys.make(key)
    sign(folder, key)
    refused(folder, [keys.make(tmp_path / "other.pem")], "signed by no key that the policy trusts")


def test_a_signature_over_another_manifest_is_refused(folder, key):
    public = keys.make(key)
    sign(folder, key)
    (folder / "manifest.json").write_bytes(manifest.written({"a": b"2"}))
    refused(folder, [public], "signed by no key that the policy trusts")


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\0" * 63])
def test_what_is_no_signature_is_refused(folder, key, content):
    (folder / "manifest.sig").write_bytes(content)
    refused(folder, [keys.make(key)], "signed by no key")


def test_a_link_in_place_of_the_signature_is_refused(folder, key, tmp_path):
    public = keys.make(key)
    sign(folder, key)
    (folder / "manifest.sig").rename(tmp_path / "elsewhere")
    (folder / "manifest.sig").symlink_to(tmp_path / "elsewhere")
    refused(folder, [public], "is missing or a link")


def test_another_bundle_with_a_good_signature_of_its_own_is_refused(folder, key, tmp_path):
    public = keys.make(key)
    digest = manifest.digest(folder)
    (folder / "manifest.json").write_bytes(manifest.written({"a": b"2"}))
    sign(folder, key)
    with pytest.raises(IntegrityBroken, match="the manifest is not the one with digest"):
        signing.require(folder, digest, [public])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_not_used(folder, key, mode):
    keys.make(key, mode=mode)
    with pytest.raises(IntegrityBroken, match=f"its mode is {mode:04o}") as refusal:
        sign(folder, key)
    assert refusal.value.exit_code == 7
    assert f"chmod 600 {key}" in refusal.value.hint


@pytest.mark.parametrize("is_link", [False, True])
def test_a_key_in_the_projects_folder_is_not_used(folder, key, tmp_path, monkeypatch, is_link):
    """From there it would go into git or an archive; a link out of the project is no better place."""
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        (home / name).touch()
    monkeypatch.chdir(home / "keys")
    keys.make(key)
    inside = home / "keys" / "key.pem"
    inside.symlink_to(key) if is_link else key.rename(inside)
    with pytest.raises(IntegrityBroken, match="lies in the project's folder"):
        sign(folder, inside)


@pytest.mark.parametrize(
    "other", [lambda: ec.generate_private_key(ec.SECP256R1()), lambda: rsa.generate_private_key(65537, 2048)]
)
def test_a_key_of_another_kind_is_named_as_such(folder, key, other):
    keys.make(key, other())
    with pytest.raises(BadConfiguration, match="is no Ed25519 key"):
        sign(folder, key)


@pytest.mark.parametrize(
    "content", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_a_file_that_holds_no_key_is_named(folder, key, content):
    keys.make(key)
    key.write_bytes(content)
    with pytest.raises(BadConfiguration, match="cannot be read as a key"):
        sign(folder, key)


def test_a_key_that_is_not_there_or_is_a_folder_is_named(folder, tmp_path):
    for path in (tmp_path / "nowhere.pem", tmp_path):
        with pytest.raises(BadConfiguration, match="the signing key cannot be read"):
            sign(folder, path)


def test_no_key_in_the_environment_means_no_signature(folder):
    assert signing.signed(folder, {}) is None
    assert signing.signed(folder, {"LOCKGATE_SIGNING_KEY": "  "}) is None


def test_the_keys_of_a_serving_process_come_from_its_environment():
    assert signing.trusted_by({"LOCKGATE_TRUSTED_KEYS": " a, b ,"}) == ["a", "b"]
    assert signing.trusted_by({}) == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_the_commands_in_the_docs_make_a_key_that_works(folder, tmp_path):
    """Each line of the docs' transcript, in a folder of its own; the printed key goes into params.yaml as it is."""
    text = (PROJECT / "docs" / "explanation" / "integrity.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (openssl .+)$", text, re.MULTILINE)
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
    public = "".join(done.stdout.split()[3:-3])
    sign(folder, tmp_path / "lockgate-key.pem")
    signing.require(folder, manifest.digest(folder), [public])
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params["gate"]["trusted_keys"] = [public]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert load_params(tmp_path / "params.yaml").gate.trusted_keys == [public]
