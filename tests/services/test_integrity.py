"""A registered version is looked at before anything of it is used: what is not as it was registered is never opened."""

import gc
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
import yaml

from lockgate.bundle import registered_files
from lockgate.database.connection import Database
from lockgate.errors import ArtifactMissing, IntegrityBroken
from lockgate.operations import load_version, register
from lockgate.operations.stage_files import Build
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import load_params

MARK = "import pathlib; pathlib.Path({marker!r}).touch()\n"
PICKLE = b"cposix\nsystem\n(S'touch {marker}'\ntR."


@pytest.fixture(scope="module")
def version(stack, trained_project, home, tmp_path_factory):
    """One registered version: backend, row, the folder that the server keeps it in, an untouched copy, a marker."""
    folder = tmp_path_factory.mktemp("integrity") / "build"
    shutil.copytree(trained_project(1), folder)
    backend = Workspace("integrity-ensemble", stack, Database(stack.database_url), "anna", 10.0)
    build = Build(folder / "data" / "prepared", folder / "build")
    receipt = register.register(backend, build, load_params(folder / "params.yaml"))
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_registry_uri(stack.tracking_uri)
    source = mlflow.MlflowClient().get_model_version(backend.model, "1").source.removeprefix("models:/")
    [kept] = home.glob(f"artifacts/*/models/{source}/artifacts")
    copy = shutil.copytree(kept, folder / "copy")
    registered = backend.state().find(receipt.version)
    return SimpleNamespace(backend=backend, row=registered, folder=kept, copy=copy, marker=folder / "executed")


@pytest.fixture
def stored(version):
    """The folder on the server, put right again after the test."""
    yield version.folder
    shutil.rmtree(version.folder)
    shutil.copytree(version.copy, version.folder)


def write(name, content="x"):
    def alter(folder, marker):
        (folder / name).parent.mkdir(exist_ok=True)
        text = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(text.replace(b"{marker!r}", repr(str(marker)).encode()))

    return alter


def append(name, content):
    return lambda folder, marker: write(name, (folder / name).read_text() + content)(folder, marker)


def remove(name):
    return lambda folder, _: (folder / name).unlink()


def link(name, target):
    def alter(folder, _):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return alter


def mlmodel(*path, value):
    """Set one key of MLmodel."""

    def alter(folder, _):
        model = yaml.safe_load((folder / "MLmodel").read_text())
        place = model
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        (folder / "MLmodel").write_text(yaml.safe_dump(model))

    return alter


def all_of(*alterations):
    def alter(folder, marker):
        for each in alterations:
            each(folder, marker)

    return alter


PYFUNC = ("flavors", "python_function")
ALTERATIONS = {
    "a pickle": (write("python_model.pkl", PICKLE), "does not belong"),
    "a pickle in the bundle": (write("artifacts/bundle/model.pkl", PICKLE), "does not belong"),
    "a code folder and a loader in it": (
        all_of(
            write("code/evil.py", MARK),
            mlmodel(*PYFUNC, "code", value="code"),
            mlmodel(*PYFUNC, "loader_module", value="evil"),
        ),
        "'code/' does not belong",
    ),
    "a module that Python imports at its start": (write("sitecustomize.py", MARK), "does not belong"),
    "a changed model file": (append("mlflow_model.py", MARK), "mlflow_model.py is not the one"),
    "another loader": (mlmodel(*PYFUNC, "loader_module", value="os"), "names the loader 'os'"),
    "a code folder": (mlmodel(*PYFUNC, "code", value="artifacts"), "brings the code folder 'artifacts'"),
    "another file to run": (mlmodel(*PYFUNC, "model_code_path", value="/tmp/evil.py"), "runs '/tmp/evil.py'"),
    "a pickled model": (mlmodel(*PYFUNC, "python_model", value="requirements.txt"), "keys .'python_model'."),
    "another flavor": (mlmodel("flavors", "sklearn", value={"pickled_model": "model.pkl"}), "has the flavors"),
    "a foreign key": (mlmodel("env_vars", value=["PATH"]), "has the keys .'env_vars'."),
    "prompts": (mlmodel("prompts", value=["models:/x/1"]), "brings prompts"),
    "another environment": (mlmodel(*PYFUNC, "env", value={"conda": "/tmp/c.yaml"}), "asks for"),
    "a bundle elsewhere": (mlmodel(*PYFUNC, "artifacts", "bundle", "path", value="../../x"), "has the artifacts"),
    "another bundle's digest": (mlmodel(*PYFUNC, "config", "bundle_digest", value="0" * 64), "for another bundle"),
    "a change that no rule knows": (mlmodel("mlflow_version", value="3.17.3"), "MLmodel is not the one"),
    "YAML that runs code": (write("MLmodel", "a: !!python/object/apply:os.system [touch x]\n"), "cannot be read"),
    "no YAML": (write("MLmodel", "\t{["), "cannot be read"),
    "an empty MLmodel": (write("MLmodel", ""), "cannot be read"),
    "another requirement": (append("requirements.txt", "evil==1.0\n"), "requirements.txt is not the one"),
    "another conda environment": (append("conda.yaml", "# \n"), "conda.yaml is not the one"),
    "a hidden file": (write(".hidden"), "does not belong"),
    "a hidden file in the bundle": (write("artifacts/bundle/.hidden"), "does not belong"),
    "a file beside the bundle": (write("artifacts/more"), "does not belong"),
    "a folder in the bundle": (write("artifacts/bundle/code/x.py"), "does not belong"),
    "an empty folder": (lambda folder, _: (folder / "empty").mkdir(), "does not belong"),
    "a name with control signs": (write("\x1b[31mred"), "does not belong"),
    "a name that means a way out": (write("%2e%2e"), "leaves its folder"),
    "a link out of the folder": (link("passwd", "/etc/passwd"), "does not belong"),
    "a link in place of a file": (link("conda.yaml", "/etc/hostname"), "leaves its folder"),
    "a link to a folder": (link("artifacts/bundle/etc", "/etc"), "does not belong"),
    "a pipe": (lambda folder, _: os.mkfifo(folder / "pipe"), "does not belong"),
    "a missing file": (remove("python_env.yaml"), "python_env.yaml is missing"),
    "a missing manifest": (remove("artifacts/bundle/manifest.json"), "manifest.json is missing"),
    "a missing booster": (remove("artifacts/bundle/catboost.cbm"), "catboost.cbm is missing"),
    "a file that is too large": (write("requirements.txt", b"#" * (1 << 20) + b"#"), "larger than it can be"),
    "a truncated booster": (write("artifacts/bundle/lightgbm.txt", "tree\n"), "lightgbm.txt sha256 mismatch"),
    "too many files": (
        lambda folder, marker: [write(f"artifacts/bundle/{n}")(folder, marker) for n in range(64)],
        "64 at most",
    ),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_artifact_is_refused_and_nothing_of_it_is_run(version, stored, name):
    alter, match = ALTERATIONS[name]
    alter(stored, version.marker)
    with pytest.raises(IntegrityBroken, match=match) as refusal:
        load_version.verify(version.backend, version.row)
    assert (refusal.value.exit_code, version.marker.exists()) == (7, False)


def test_the_version_as_it_was_registered_opens(version):
    """So every refusal above is for its alteration."""
    load_version.verify(version.backend, version.row)


def test_a_store_that_has_nothing_of_a_version_is_told_from_one_that_is_down(version, stored):
    shutil.rmtree(stored)
    with pytest.raises(ArtifactMissing, match="the store no longer has the files of version 1"):
        load_version.verify(version.backend, version.row)
    stored.mkdir()
    with pytest.raises(ArtifactMissing):
        load_version.verify(version.backend, version.row)


@pytest.mark.parametrize(
    ("alter", "match"),
    [
        (link("extra", "/etc/passwd"), "'extra' does not belong"),
        (link("MLmodel", "/etc/passwd"), "'MLmodel' does not belong"),
        (link("folder", "/etc"), "'folder' does not belong"),
        (lambda folder, _: os.mkfifo(folder / "pipe"), "'pipe' does not belong"),
        (lambda folder, _: (folder / "artifacts" / "bundle" / "deeper").mkdir(), "deeper' does not belong"),
    ],
)
def test_a_fetched_folder_holds_plain_files_only(version, tmp_path, alter, match):
    """The store is a server that may lie: what arrived is looked at again."""
    folder = shutil.copytree(version.copy, tmp_path / "fetched")
    alter(folder, None)
    with pytest.raises(IntegrityBroken, match=match):
        registered_files.examined(folder, version.row.bundle_digest, {})


def test_without_digests_on_record_the_model_file_must_be_this_lockgates_own(version, tmp_path):
    folder = shutil.copytree(version.copy, tmp_path / "fetched")
    assert registered_files.examined(folder, version.row.bundle_digest, {}).has_signature
    append("mlflow_model.py", MARK)(folder, version.marker)
    with pytest.raises(IntegrityBroken, match=r"mlflow_model\.py is not the one"):
        registered_files.examined(folder, version.row.bundle_digest, {})


def test_files_are_fetched_into_a_folder_that_nobody_else_can_enter(version):
    with load_version.fetched(version.backend, load_version.recorded(version.backend, version.row.version)) as found:
        private = Path(found.bundle).parents[1]
        assert private.stat().st_mode & 0o077 == 0
    assert not private.exists()


def test_threads_that_fetch_files_end_with_the_download(version):
    """A server that follows a stage fetches one version after another for months.

    The uploads of the fixture leave threads as well, until a garbage collection; those are not meant.
    """
    before = set(threading.enumerate())
    gc.disable()
    try:
        for _ in range(3):
            load_version.verify(version.backend, version.row)
        deadline = time.monotonic() + 30
        while waiting := [each for each in set(threading.enumerate()) - before if each.name.startswith("Mlflow")]:
            assert time.monotonic() < deadline, waiting
            time.sleep(0.01)
    finally:
        gc.enable()
