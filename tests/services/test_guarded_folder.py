"""Files in the folder of `lockgate up`: clients neither delete nor overwrite those of a registered version."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from raw_model import RawModel
from sqlalchemy import text

from lockgate.database.connection import Database
from lockgate.errors import BadConfiguration
from lockgate.registry.guarded_folder import DESTINATION_VARIABLE, GuardedFolderArtifactRepository
from lockgate.registry.server_database import BACKEND_STORE_VARIABLE
from lockgate.stack import artifact_location, embedded_postgres
from lockgate.stack.artifact_location import Place
from lockgate.system.service_urls import Addresses

CONTENT = b"as registered"
IN_USE: dict[str, Callable[[RawModel], int]] = {
    "None": RawModel.register,
    "Staging": RawModel.candidate,
    "Production": RawModel.serving,
    "a rollback target": lambda model: replaced(model, model.serving()),
    "None, unknown to Lockgate": RawModel.add,
}


def replaced(model: RawModel, version: int) -> int:
    """The version, after another one has taken its place in Production."""
    model.transition(model.candidate(against=version), "Production", archive=True)
    return version


@pytest.fixture
def model(stack: Addresses) -> RawModel:
    return RawModel(stack, Database(stack.database_url))


def source(model: RawModel, version: int) -> str:
    """The path of a version's folder on the server."""
    answer = model.ask("GET", "model-versions/get", name=model.name, version=str(version))
    return str(answer.json()["model_version"]["source"]).removeprefix("mlflow-artifacts:/")


def artifact(where: Addresses, path: str, api: str = "api") -> str:
    return f"{where.tracking_uri}/{api}/2.0/mlflow-artifacts/artifacts/{path}"


def put(where: Addresses, path: str, content: bytes, api: str = "api") -> requests.Response:
    return requests.put(artifact(where, path, api), data=content, timeout=30)


def delete(where: Addresses, path: str) -> requests.Response:
    return requests.delete(artifact(where, path), json={}, timeout=30)


def answered(reply: requests.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["message"]


@pytest.fixture(params=IN_USE)
def held(request: pytest.FixtureRequest, model: RawModel) -> tuple[int, str]:
    """A version in each stage, and a file of it."""
    version = IN_USE[request.param](model)
    file = f"{source(model, version)}/deep/weights.bin"
    assert put(model.where, file, CONTENT).status_code == 200
    return version, file


def test_the_files_of_a_version_are_not_deleted(model: RawModel, held: tuple[int, str], home: Path) -> None:
    version, file = held
    folder = file.removesuffix("/deep/weights.bin")
    for place in (file, folder, folder.removesuffix("/model")):
        sentence = f"{place} belongs to version {version} of {model.name}; delete that version first"
        assert answered(delete(model.where, place)) == (409, sentence)
    assert delete(model.where, folder.split("/")[0]).status_code == 409
    assert (home / "artifacts" / file).read_bytes() == CONTENT


def test_the_files_of_a_version_are_not_overwritten(model: RawModel, held: tuple[int, str], home: Path) -> None:
    """By any route; the same content again is accepted."""
    version, file = held
    sentence = (
        f"{file} belongs to version {version} of {model.name}; register the changed files as a version of their own"
    )
    for api in ("api", "ajax-api"):
        assert answered(put(model.where, file, b"something else", api)) == (409, sentence)
    _, run_id, _, inside = file.split("/", 3)
    form = {"run_uuid": run_id, "path": inside}
    upload = f"{model.where.tracking_uri}/ajax-api/2.0/mlflow/upload-artifact"
    assert answered(requests.post(upload, params=form, data=b"something else", timeout=30)) == (409, sentence)
    assert put(model.where, file, CONTENT).status_code == 200
    folder = home / "artifacts" / file.rpartition("/")[0]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"weights.bin": CONTENT}


def test_a_version_gets_no_further_files(model: RawModel, held: tuple[int, str], home: Path) -> None:
    """An extra file would make every command refuse the version."""
    folder = held[1].removesuffix("/deep/weights.bin")
    assert put(model.where, f"{folder}/MLmodel", CONTENT).status_code == 200
    for name in ("extra.txt", "deep/extra.txt", "new/extra.txt"):
        assert answered(put(model.where, f"{folder}/{name}", CONTENT))[0] == 409
    assert sorted(path.name for path in (home / "artifacts" / folder).iterdir()) == ["MLmodel", "deep"]
    assert put(model.where, f"{folder.rpartition('/')[0]}/beside.txt", CONTENT).status_code == 200


@pytest.mark.parametrize(
    "spelling", ["{run}//model", "{run}/./model", "{run}/%6dodel", "{run}/%256dodel", "{run}/model/"]
)
def test_another_spelling_of_the_path_is_refused_too(model: RawModel, spelling: str, home: Path) -> None:
    folder = source(model, model.serving())
    put(model.where, f"{folder}/weights.bin", CONTENT).raise_for_status()
    path = spelling.format(run=folder.removesuffix("/model"))
    assert delete(model.where, path).status_code == 409
    assert put(model.where, f"{path}/weights.bin", b"something else").status_code in (
        409,
        500,
    )  # 500: MLflow's own check
    assert (home / "artifacts" / folder / "weights.bin").read_bytes() == CONTENT


def test_the_files_of_a_run_without_a_version_may_change_and_go(model: RawModel) -> None:
    run = model.ask("POST", "runs/create", experiment_id="0").json()["run"]["info"]
    folder = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    for content in (b"one table", b"two tables"):
        assert put(model.where, f"{folder}/table.json", content).status_code == 200
        assert requests.get(artifact(model.where, f"{folder}/table.json"), timeout=30).content == content
    assert delete(model.where, f"{folder}/table.json").status_code == 200
    assert delete(model.where, f"{folder}/table.json").status_code == 200
    put(model.where, f"{folder}/deep/table.json", b"x").raise_for_status()
    assert delete(model.where, folder).status_code == 200
    listed = requests.get(artifact(model.where, "").rstrip("/"), params={"path": folder}, timeout=30)
    assert listed.json() == {}


def test_the_files_of_a_deleted_version_may_go(model: RawModel) -> None:
    version = model.register()
    folder = source(model, version)
    put(model.where, f"{folder}/weights.bin", CONTENT).raise_for_status()
    assert delete(model.where, folder).status_code == 409
    model.ask("DELETE", "model-versions/delete", name=model.name, version=str(version)).raise_for_status()
    assert delete(model.where, folder).status_code == 200


def test_mlflow_gc_erases_a_deleted_run_with_its_files(model: RawModel, home: Path) -> None:
    run = model.ask("POST", "runs/create", experiment_id="0").json()["run"]["info"]
    folder = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    put(model.where, f"{folder}/table.json", b"x").raise_for_status()
    model.ask("POST", "runs/delete", run_id=run["run_id"]).raise_for_status()
    store = embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE)
    words = ["gc", "--backend-store-uri", store, "--run-ids", run["run_id"]]
    environment = os.environ | {"MLFLOW_TRACKING_URI": model.where.tracking_uri}
    done = subprocess.run([sys.executable, "-m", "mlflow", *words], env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert not (home / "artifacts" / folder).exists()
    assert model.ask("GET", "runs/get", run_id=run["run_id"]).status_code == 404


# --- without the server's database -----------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GuardedFolderArtifactRepository:
    """The repository of a server whose Postgres does not run, in a folder with a space and a percent sign."""
    monkeypatch.setenv(BACKEND_STORE_VARIABLE, f"postgresql+psycopg2://ann:s3cret@/x?host={tmp_path}")
    destination = artifact_location.destination(tmp_path / "a clone 100%", Place.FOLDER)
    monkeypatch.setenv(DESTINATION_VARIABLE, destination)
    opened = get_artifact_repository(destination)
    assert isinstance(opened, GuardedFolderArtifactRepository)
    return opened


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A local folder with a file in a folder."""
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "größe 1 % #2.txt").write_bytes(CONTENT)
    return tmp_path / "tree"


def test_without_the_database_new_files_are_stored_and_read(
    repository: GuardedFolderArtifactRepository, tree: Path, tmp_path: Path
) -> None:
    """So neither needs a query."""
    repository.log_artifacts(str(tree), "1/run")
    stored = artifact_location.folder(tmp_path / "a clone 100%") / "1" / "run" / "deep" / "größe 1 % #2.txt"
    assert stored.read_bytes() == CONTENT
    assert [each.path for each in repository.list_artifacts("1/run/deep")] == ["1/run/deep/größe 1 % #2.txt"]
    repository.delete_artifacts("1/absent")


def test_without_the_database_nothing_is_deleted_or_overwritten(
    repository: GuardedFolderArtifactRepository, tree: Path
) -> None:
    repository.log_artifacts(str(tree), "1/run")
    (tree / "deep" / "größe 1 % #2.txt").write_bytes(b"something else")
    for act in (lambda: repository.log_artifacts(str(tree), "1/run"), lambda: repository.delete_artifacts("1")):
        with pytest.raises(MlflowException) as refusal:
            act()
        assert refusal.value.get_http_status_code() == 503
        assert str(refusal.value) == "no database listens there; start it: lockgate up"
    assert Path(repository.artifact_dir, "1/run/deep/größe 1 % #2.txt").read_bytes() == CONTENT


def test_the_root_and_places_outside_are_not_deleted(
    repository: GuardedFolderArtifactRepository, tree: Path, tmp_path: Path
) -> None:
    repository.log_artifacts(str(tree), "1/run")
    for path in (None, "", ".", "./", "1/../..", "../logs", str(tree)):
        with pytest.raises(MlflowException) as refusal:
            repository.delete_artifacts(path)
        assert refusal.value.get_http_status_code() == 400
    assert (tree / "deep").exists()
    assert repository.list_artifacts("1/run/deep")


def test_a_repository_below_the_root_asks_for_the_whole_path(
    home: Path, database_url: str, tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow makes such a repository for each trace."""
    name = database_url.split("@/")[1].split("?")[0]
    monkeypatch.setenv(BACKEND_STORE_VARIABLE, embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE, name))
    destination = artifact_location.destination(tmp_path, Place.FOLDER)
    monkeypatch.setenv(DESTINATION_VARIABLE, destination)
    with Database(database_url).transaction() as connection:
        connection.execute(text("INSERT INTO public.registered_models (name) VALUES ('chain')"))
        connection.execute(text(
            "INSERT INTO public.model_versions (name, version, current_stage, source)"
            " VALUES ('chain', 3, 'None', 'mlflow-artifacts:/1/traces/held')"))  # fmt: skip
    for trace in ("held", "free"):
        get_artifact_repository(f"{destination}/1/traces/{trace}").log_artifacts(str(tree))
    with pytest.raises(MlflowException, match="1/traces/held belongs to version 3 of chain"):
        get_artifact_repository(f"{destination}/1/traces/held").delete_artifacts()
    get_artifact_repository(f"{destination}/1/traces/free").delete_artifacts()
    traces = artifact_location.folder(tmp_path) / "1" / "traces"
    assert [path.name for path in traces.iterdir()] == ["held"]


def test_only_a_server_on_postgres_opens_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    destination = artifact_location.destination(tmp_path, Place.FOLDER)
    monkeypatch.setenv(DESTINATION_VARIABLE, destination)
    monkeypatch.setenv(BACKEND_STORE_VARIABLE, "sqlite:///mlflow.db")
    with pytest.raises(MlflowException, match="opens lockgate-folder:; its clients use mlflow-artifacts:/"):
        get_artifact_repository(destination)
    for wrong in ("lockgate-folder:relative", "lockgate-folder://host/path"):
        with pytest.raises(MlflowException, match=f"is written lockgate-folder:///absolute/path, not {wrong}"):
            get_artifact_repository(wrong)


def test_a_destination_without_an_installed_repository_is_refused_with_the_command(tmp_path: Path) -> None:
    for place in Place:
        artifact_location.require_repository(artifact_location.destination(tmp_path, place))
    with pytest.raises(BadConfiguration, match="it has no artifact repository lockgate-later") as refusal:
        artifact_location.require_repository("lockgate-later:///x")
    assert refusal.value.hint == "install this code: make install"
