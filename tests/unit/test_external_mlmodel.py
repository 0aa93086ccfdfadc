"""What an MLflow model folder from elsewhere may hold. Whatever could run code is refused, and nothing is run."""

import json
import os
import pickle

import pytest
import yaml

from lockgate.bundle import external_mlmodel
from lockgate.bundle.external_mlmodel import BundleInModel, SavedModel
from lockgate.bundle.mlmodel import LARGEST_AROUND
from lockgate.errors import GateRefused, IntegrityBroken
from lockgate.system import safe_files

TEXT = b"tree\nversion=v4\n\nend of trees\n"
INPUTS = [{"type": "long", "name": "Store", "required": True}, {"type": "double", "name": "Promo", "required": True}]


class Evil:
    """A pickle that leaves a marker where it is loaded."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


@pytest.fixture
def described():
    """MLmodel as mlflow.lightgbm writes it, as values."""
    return {
        "flavors": {
            "lightgbm": {
                "code": None,
                "data": "model.lgb",
                "lgb_version": "4.7.0",
                "model_class": "lightgbm.basic.Booster",
                "serialization_format": "skops",
                "skops_trusted_types": ["lightgbm.basic.Booster"],
            },
            "python_function": {
                "data": "model.lgb",
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.lightgbm",
                "python_version": "3.11.7",
            },
        },
        "metadata": {"trained_until": "2015-06-19"},
        "mlflow_version": "3.17.2",
        "model_uuid": "4dcecd68042f4169a3f3c557b601ec2c",
        "signature": {"inputs": json.dumps(INPUTS), "outputs": None, "params": None},
        "utc_time_created": "2026-01-01 00:00:00",
    }


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "model.lgb").write_bytes(TEXT)
    (folder / "requirements.txt").write_text("lightgbm\n")
    return folder


def read(folder, described):
    (folder / "MLmodel").write_text(described if isinstance(described, str) else yaml.safe_dump(described))
    return external_mlmodel.read(folder)


def refused(folder, described, match):
    with pytest.raises(IntegrityBroken, match=match):
        read(folder, described)


def test_a_native_model_is_its_bytes_its_columns_and_what_its_metadata_say(folder, described):
    assert read(folder, described) == SavedModel(
        "lightgbm", TEXT, ("Store", "Promo"), (), {"trained_until": "2015-06-19"}, ""
    )


def test_a_model_that_lockgate_logged_gives_its_bundle_and_digest(folder, described):
    (folder / "model.lgb").unlink()
    (folder / "artifacts" / "bundle").mkdir(parents=True)
    (folder / "artifacts" / "bundle" / "manifest.json").write_text("{}")
    (folder / "mlflow_model.py").write_text("raise SystemExit('it was run')")
    described["flavors"] = {"python_function": lockgates_own()}
    assert read(folder, described) == BundleInModel(folder / "artifacts/bundle", "d" * 64)


def lockgates_own(**changes):
    bundle = {"bundle": {"path": "artifacts/bundle", "uri": "bundle"}}
    return {"artifacts": bundle, "code": None, "config": {"bundle_digest": "d" * 64}} | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"code": "code"},
        {"artifacts": {"bundle": {"path": "../../etc"}}},
        {"artifacts": {}},
        {"config": None},
        {"config": {"bundle_digest": 7}},
    ],
)
def test_a_python_function_that_is_not_just_a_bundle_is_refused(folder, described, changes):
    described["flavors"] = {"python_function": lockgates_own(loader_module="evil", **changes)}
    refused(folder, described, "wants to be loaded by 'evil'")


@pytest.mark.parametrize("name", ["pytorch", "python_function_2", "keras"])
def test_another_flavor_is_refused_alone_and_beside_a_native_one(folder, described, name):
    described["flavors"][name] = {"pickled_model": "model.pkl"}
    refused(folder, described, "is not accepted")
    del described["flavors"]["lightgbm"]
    refused(folder, described, f"flavor '{name}' is not accepted")


@pytest.mark.parametrize(
    ("flavor", "change", "match"),
    [
        ("lightgbm", {"model_class": "lightgbm.sklearn.LGBMRegressor", "data": "model.skops"}, "'model.skops'"),
        ("lightgbm", {"data": "model.pkl"}, "saved as 'model.pkl'"),
        ("lightgbm", {"data": "../model.lgb"}, "saved as"),
        ("lightgbm", {"data": ["model.lgb"]}, "saved as"),
        ("lightgbm", {"code": "code"}, "is not accepted"),
        ("lightgbm", {"pickled_model": "model.pkl"}, "key 'pickled_model'"),
        ("python_function", {"loader_module": "evil"}, "loaded by 'evil'"),
        ("python_function", {"code": "code"}, "loaded by"),
        ("python_function", {"data": "other.lgb"}, "two files"),
        ("python_function", {"python_model": "python_model.pkl"}, "key 'python_model'"),
        ("python_function", {"model_code_path": "model.py"}, "key 'model_code_path'"),
    ],
)
def test_an_estimator_a_loader_code_or_an_unknown_key_is_refused(folder, described, flavor, change, match):
    described["flavors"][flavor] |= change
    refused(folder, described, match)


@pytest.mark.parametrize("saved", ["model.pkl", "model.skops"])
def test_an_estimator_is_accepted_only_as_skops(folder, described, saved):
    flavor = {"pickled_model": saved, "serialization_format": "skops", "sklearn_version": "1.9.1", "code": None}
    function = {"model_path": saved, "loader_module": "mlflow.sklearn", "predict_fn": "predict", "env": {}}
    described["flavors"] = {"sklearn": flavor, "python_function": function}
    (folder / "model.lgb").rename(folder / saved)
    refused(folder, described, "a 'skops' saved as 'model.pkl'|is not a native file of sklearn")
    flavor["serialization_format"] = "cloudpickle"
    refused(folder, described, "a 'cloudpickle' saved as")


def test_an_unknown_key_of_the_model_is_refused(folder, described):
    refused(folder, described | {"loader": "evil"}, "key 'loader'")


@pytest.mark.parametrize("name", ["model.pkl", "code/evil.py", "sitecustomize.py", "\x1b[31m"])
def test_a_file_that_a_native_model_does_not_have_is_refused(folder, described, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("")
    refused(folder, described, "does not belong")


@pytest.mark.parametrize("name", [".hidden", ".git/config"])
def test_a_hidden_file_or_folder_is_refused(folder, described, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("")
    refused(folder, described, "is hidden")


def test_a_link_and_a_pipe_are_refused_and_do_not_hang(folder, described, tmp_path):
    (folder / "model.lgb").rename(tmp_path / "elsewhere")
    (folder / "model.lgb").symlink_to(tmp_path / "elsewhere")
    refused(folder, described, "is a link")
    (folder / "model.lgb").unlink()
    os.mkfifo(folder / "model.lgb")
    refused(folder, described, "not a plain file")


def test_a_link_to_a_folder_is_not_followed(folder, described, tmp_path):
    (folder / "artifacts").symlink_to(tmp_path)
    refused(folder, described, "is a link")


def test_too_many_files_are_refused(folder, described):
    for place in range(safe_files.MOST_FILES):
        (folder / f"{place}.txt").touch()
    refused(folder, described, "more than 200 files")


@pytest.mark.parametrize("left", [0, 4, 10, len(TEXT) - 5])
def test_a_text_of_lightgbm_that_was_cut_off_is_refused(folder, described, left):
    (folder / "model.lgb").write_bytes(TEXT[:left])
    refused(folder, described, r"is cut off|not a native file")


def test_a_pickle_under_a_native_name_is_refused_unopened(folder, described, tmp_path):
    marker = tmp_path / "marker"
    (folder / "model.lgb").write_bytes(pickle.dumps(Evil(marker)))
    refused(folder, described, "not a native file of lightgbm")
    assert not marker.exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/object/new:os.system"])
def test_a_yaml_that_would_run_something_is_refused(folder, tmp_path, tag):
    marker = tmp_path / "marker"
    refused(folder, f"flavors: {tag} ['touch {marker}']", "cannot be read")
    assert not marker.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{", "flavors: 3", "flavors: {lightgbm: 3}", "metadata: []", "[" * 9000]
)
def test_an_mlmodel_that_is_none_is_refused(folder, text):
    with pytest.raises(IntegrityBroken):
        read(folder, text)


def test_an_mlmodel_that_is_too_large_is_refused(folder):
    refused(folder, "#" * (LARGEST_AROUND + 1), "is too large")


@pytest.mark.parametrize(
    ("signature", "match"),
    [
        (None, "has no signature"),
        ({"inputs": None}, "has no signature"),
        ({"inputs": "{"}, "cannot be read"),
        ({"inputs": "[]"}, "not one of named numbers"),
        ({"inputs": [1]}, "cannot be read"),
        ({"inputs": json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64"}}])}, "None .'tensor'"),
        ({"inputs": json.dumps([{"type": "double"}])}, "named numbers"),
        ({"inputs": json.dumps([*INPUTS, {"type": "string", "name": "Date"}])}, "'Date' .'string'"),
    ],
)
def test_without_a_signature_of_named_numbers_the_gate_says_no(folder, described, signature, match):
    with pytest.raises(GateRefused, match=match):
        read(folder, described | {"signature": signature})


def test_only_a_folder_of_files_is_copied(folder, tmp_path):
    safe_files.copy(folder, tmp_path / "copy")
    assert {each.name: each.read_bytes() for each in (tmp_path / "copy").iterdir()} == {
        each.name: each.read_bytes() for each in folder.iterdir()
    }
    (folder / "code").mkdir()
    (folder / "code" / "evil.py").touch()
    with pytest.raises(IntegrityBroken, match="'code' does not belong"):
        safe_files.copy(folder, tmp_path / "again")
