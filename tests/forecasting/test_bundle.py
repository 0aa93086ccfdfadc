"""A bundle is opened whole and unchanged, or not at all."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import small_chain

from lockgate import digests
from lockgate.bundle import manifest, store
from lockgate.errors import IntegrityBroken, StorageFailed
from lockgate.features.store_panel.recipe import STORE_PANEL

FILES = sorted(store.NAMES)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "a bundle"


@pytest.fixture
def digest(folder):
    return store.save(small_chain.forecaster(), folder)


def refused(folder, digest, match):
    with pytest.raises(IntegrityBroken, match=match) as refusal:
        store.load(folder, digest)
    assert refusal.value.exit_code == 7


def test_what_is_loaded_forecasts_what_was_saved(folder, digest):
    rows = small_chain.asked()
    loaded = store.load(folder, digest)
    assert np.array_equal(loaded.predict(rows), small_chain.forecaster().predict(rows))
    assert loaded.window == small_chain.forecaster().window


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_what_is_loaded_has_the_bounds_of_what_was_saved(folder, digest, confidence):
    rows = small_chain.asked()
    loaded, saved = (each.interval(rows, confidence) for each in (store.load(folder, digest), small_chain.forecaster()))
    assert all(np.array_equal(getattr(loaded, name), getattr(saved, name)) for name in ("lower", "upper"))


def test_another_calibration_is_another_bundle(digest, tmp_path):
    known = small_chain.forecaster().calibration
    wider = replace(small_chain.forecaster(), calibration=replace(known, spread=known.spread * 2))
    assert store.save(wider, tmp_path / "wider") != digest


def test_the_same_forecaster_saved_twice_gives_the_same_digest(folder, digest, tmp_path):
    assert store.save(small_chain.forecaster(), tmp_path / "again") == digest
    assert manifest.digest(folder) == manifest.digest(tmp_path / "again") == digest


def test_the_manifest_lists_every_other_file_with_size_and_digest(folder, digest):
    manifest = json.loads((folder / "manifest.json").read_text())
    found = {path.name: path for path in folder.iterdir() if path.name != "manifest.json"}
    assert manifest["files"] == {
        name: {"bytes": path.stat().st_size, "sha256": digests.of_file(path)} for name, path in found.items()
    }
    assert digest == digests.of_file(folder / "manifest.json")


def test_there_is_no_pickle_no_time_and_no_path_in_a_bundle(folder, digest):
    for path in folder.iterdir():
        content = path.read_bytes()
        assert content[:1] != b"\x80"
        assert str(folder.parent).encode() not in content
        assert b"/tmp" not in content
        assert b'train_finish_time": "2' not in content


def test_another_digest_than_expected_is_refused(folder, digest):
    refused(folder, "0" * 64, "digest")


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_refused(folder, digest, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    refused(folder, digest, f"{name} sha256 mismatch")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 1000])
def test_a_truncated_file_is_refused_and_the_process_lives(folder, digest, name, left):
    os.truncate(folder / name, left)
    refused(folder, digest, f"{name} sha256 mismatch")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_grew_is_refused(folder, digest, name):
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    refused(folder, digest, f"{name} is too large")


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_refused(folder, digest, name):
    (folder / name).unlink()
    refused(folder, digest, f"{name} is missing")


@pytest.mark.parametrize("name", ["extra.pkl", ".hidden", "sitecustomize.py", "\x1b[31m"])
def test_an_extra_or_hidden_file_is_refused(folder, digest, name):
    (folder / name).write_bytes(b"\x80\x04")
    refused(folder, digest, "does not belong")


def test_an_extra_folder_is_refused(folder, digest):
    (folder / "code").mkdir()
    refused(folder, digest, "does not belong")


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_linked_file_is_refused_even_if_its_content_is_right(folder, digest, name):
    elsewhere = folder.parent / name
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    refused(folder, digest, f"{name} is missing or a link")


def test_a_named_pipe_in_place_of_a_file_does_not_hang(folder, digest):
    (folder / "catboost.cbm").unlink()
    os.mkfifo(folder / "catboost.cbm")
    refused(folder, digest, "not a plain file")


def test_a_folder_that_is_not_there_is_refused(folder):
    refused(folder, "0" * 64, "missing")


def test_a_manifest_that_lists_a_file_elsewhere_is_refused(folder, digest):
    listing = json.loads((folder / "manifest.json").read_text())
    listing["files"]["../secret"] = listing["files"]["catboost.cbm"]
    (folder / "manifest.json").write_text(json.dumps(listing))
    refused(folder, manifest.digest(folder), "other files than a bundle of this code has")


def test_a_bundle_without_the_file_of_a_new_member_is_refused_by_the_name_of_the_file(folder, digest, monkeypatch):
    forest = replace(store.MEMBERS["catboost"], file="forest.npz")
    monkeypatch.setattr(store, "MEMBERS", store.MEMBERS | {"catboost": forest})
    refused(folder, digest, "the first difference is 'catboost.cbm'")


def test_a_bundle_holds_the_files_of_its_own_members_only(tmp_path):
    one = small_chain.forecaster()
    boosters = {"xgboost": one.boosters["xgboost"]}
    part = replace(one, boosters=boosters, weights={"xgboost": 0.6, "ridge": 0.4})
    opened = store.load(tmp_path / "part", store.save(part, tmp_path / "part"))
    assert opened.members == ("xgboost", "ridge")
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == [
        "arrays.npz", "forecaster.json", "manifest.json", "xgboost.ubj"
    ]  # fmt: skip
    assert np.array_equal(opened.predict(small_chain.asked()), part.predict(small_chain.asked()))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"files": 3}', '{"files": {}}'])
def test_a_manifest_that_is_none_is_refused_even_under_its_own_digest(folder, digest, text):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(IntegrityBroken):
        store.load(folder, manifest.digest(folder))


def test_no_library_is_given_a_byte_of_a_damaged_bundle(folder, digest, monkeypatch):
    touched = []
    members = {name: replace(member, restore=touched.append) for name, member in store.MEMBERS.items()}
    monkeypatch.setattr(store, "MEMBERS", members)
    os.truncate(folder / "xgboost.ubj", 50)
    refused(folder, digest, "xgboost.ubj")
    assert touched == []


def test_code_that_would_forecast_other_numbers_is_refused(folder, digest, monkeypatch):
    """The probe: the forecasts of the day it was made travel with the bundle."""
    from lockgate.features.store_panel import store_ridge

    honest = store_ridge.day_regressors
    monkeypatch.setattr(store_ridge, "day_regressors", lambda table: honest(table) * 1.001)
    refused(folder, digest, "other numbers")


def test_other_features_than_the_code_has_are_refused(folder, digest, monkeypatch):
    other = replace(STORE_PANEL, names=(*STORE_PANEL.names, "phase_of_the_moon"))
    monkeypatch.setattr(store, "recipe_of", lambda problem: other)
    refused(folder, digest, "other features")


def test_saving_replaces_what_was_there(folder, digest):
    (folder / "left over").write_text("")
    other = replace(small_chain.forecaster(), weights={**small_chain.forecaster().weights, "ridge": 0.5})
    assert store.save(other, folder) != digest
    assert {path.name for path in folder.iterdir()} == {*FILES, "manifest.json"}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_place_that_takes_no_files_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="cannot be written"):
        store.save(small_chain.forecaster(), tmp_path / "file" / "bundle")


def test_an_offset_that_was_recorded_under_its_earlier_name_is_read(folder):
    """Bundles of earlier versions hold the offset "habit"."""
    boosters = {name: replace(own, offset="group_mean") for name, own in small_chain.forecaster().boosters.items()}
    store.save(replace(small_chain.forecaster(), boosters=boosters), folder)
    path = folder / "forecaster.json"
    path.write_text(path.read_text().replace('"group_mean"', '"habit"'))
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "manifest.json"}
    (folder / "manifest.json").write_bytes(manifest.written(files))
    loaded = store.load(folder, manifest.digest(folder))
    assert {member.offset for member in loaded.boosters.values()} == {"group_mean"}
