"""Work on a Dask cluster gives what work in this process gives, and a fault of the cluster is a clear error."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import dask_processes
import engine_tasks
import pytest

from lockgate.engine import choice, versions
from lockgate.engine.engine import InProcess
from lockgate.errors import BadConfiguration, BadData, Unavailable
from lockgate.problem.params import EngineParams

SECONDS = 60


def on(address, timeout=SECONDS):
    return choice.here(EngineParams(kind="dask", address=address), timeout)


@pytest.mark.parametrize("items", [[], [3], list(range(20))])
def test_results_have_the_order_of_the_items_on_every_engine(items, dask_address):
    with on(dask_address) as engine:
        by_dask = engine.map(engine_tasks.scaled, items, "scale", shared=(7,))
        scattered = engine.map(engine_tasks.scaled, items, "scale", shared=(engine.scatter(7),))
    here = InProcess()
    in_process = here.map(engine_tasks.scaled, items, "scale", shared=(here.scatter(7),))
    assert by_dask == scattered == in_process == [7 * item for item in items]


def test_tasks_run_in_other_processes(dask_address):
    with on(dask_address) as engine:
        assert engine.workers == 2
        assert len(set(engine.map(engine_tasks.process_of, range(20), "ask")) | {0}) == 3


def test_each_finished_task_is_progress(dask_address):
    seen = []
    with on(dask_address) as engine:
        for each in (engine, InProcess()):
            each.map(engine_tasks.scaled, [1, 2, 3], "scale", shared=(7,), progress=lambda *step: seen.append(step))
    assert seen == 2 * [("scale", 1, 3), ("scale", 2, 3), ("scale", 3, 3)]


def test_a_refusal_of_a_task_is_raised_unchanged(dask_address):
    with on(dask_address) as engine, pytest.raises(BadData) as refusal:
        engine.map(engine_tasks.refused, [4], "read")
    found = refusal.value
    assert (found.message, found.where, found.hint) == ("row 4 is bad", "sales.csv, line 7", "correct it")
    assert found.exit_code == 3


def test_a_bug_in_a_task_names_the_step_and_the_part(dask_address):
    with on(dask_address) as engine, pytest.raises(ZeroDivisionError) as bug:
        engine.map(engine_tasks.with_bug, [4], "read")
    assert bug.value.__notes__ == [f"on the Dask cluster {dask_address}: read, part 1 of 1"]


def test_a_scheduler_that_does_not_answer_is_unavailable():
    address = f"tcp://127.0.0.1:{dask_processes.free_port()}"
    with pytest.raises(Unavailable, match=r"does not answer within 0\.5 s") as refusal, on(address, 0.5):
        pass
    assert refusal.value.where == address


def test_an_address_that_is_none_is_refused():
    with pytest.raises(BadConfiguration, match="is not the address of a Dask scheduler"), on("nowhere://x:1"):
        pass


def test_a_password_in_an_address_is_not_shown():
    with (
        pytest.raises(BadConfiguration, match=r"'tcp://u:.+@h:1' is not the address") as refusal,
        on("tcp://u:secret@h:1"),
    ):
        pass
    assert "secret" not in str(refusal.value)


def test_another_server_at_the_address_is_no_scheduler():
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_as_a_web_server, args=(server,), daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(Unavailable, match="what answers is no Dask scheduler") as refusal, on(address, 5):
            pass
    assert refusal.value.where == address


def answer_as_a_web_server(server):
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            with client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                client.recv(4096)


def test_a_worker_of_another_version_is_named_before_any_work(tmp_path):
    preload = tmp_path / "older.py"
    preload.write_text("import lockgate\nlockgate.__version__ = '0.0.9'\n")
    with dask_processes.running(tmp_path) as cluster:
        cluster.add_worker("--preload", str(preload), "--no-nanny")
        with pytest.raises(BadConfiguration, match=r"lockgate 0\.0\.9, here 0\.1\.0") as refusal, on(cluster.address):
            pass
    assert "worker tcp://127.0.0.1:" in refusal.value.message
    assert "scheduler" not in refusal.value.message


def test_a_scheduler_without_workers_is_unavailable(tmp_path):
    none = pytest.raises(Unavailable, match=r"has no worker after 0\.5 s")
    with dask_processes.running(tmp_path) as cluster, none, on(cluster.address, 0.5):
        pass


def test_the_same_code_has_the_same_digest():
    assert versions.differences(versions.found(), versions.found()) == []
    assert versions.differences({"numpy": "2.0"}, {}) == ["numpy none, here 2.0"]


def test_without_a_cluster_dask_is_not_imported(tmp_path):
    code = """if True:
        import sys
        from lockgate.engine import choice
        from lockgate.problem.params import EngineParams
        with choice.here(EngineParams()) as engine:
            print(engine.map(abs, [-1, 2], "size"))
        print(sorted({"dask", "distributed"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[1, 2]\n[]\n"


def test_without_dask_the_refusal_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "lockgate.engine.dask_cluster", raising=False)
    monkeypatch.delattr("lockgate.engine.dask_cluster", raising=False)
    with pytest.raises(BadConfiguration, match="distributed is not installed") as refusal, on("tcp://127.0.0.1:1"):
        pass
    assert refusal.value.hint == "pip install 'lockgate[dask]'"


def test_the_variable_replaces_the_key_and_the_key_replaces_the_local_cluster(tmp_path):
    state = tmp_path / ".lockgate" / "stack.json"
    state.parent.mkdir()
    state.write_text('{"dask": {"address": "tcp://local:1"}}')
    named, local = EngineParams(kind="dask", address="tcp://named:1"), EngineParams(kind="dask")
    assert choice.address_of(local, tmp_path, {"LOCKGATE_DASK": "tcp://variable:1"}) == "tcp://variable:1"
    assert choice.address_of(named, tmp_path, {}) == "tcp://named:1"
    assert choice.address_of(local, tmp_path, {}) == "tcp://local:1"
    assert choice.address_of(EngineParams(), tmp_path, {}) is None
    state.write_text("{}")
    with pytest.raises(Unavailable) as refusal:
        choice.address_of(local, tmp_path, {})
    assert "lockgate up --workers 2" in refusal.value.hint


def test_the_engine_is_in_no_policy_and_in_no_stage():
    import yaml

    from lockgate.problem.params import load_params

    project = Path(__file__).parents[2]
    params = load_params(project / "params.yaml")
    elsewhere = params.model_copy(update={"engine": EngineParams(kind="dask", address="tcp://named:1")})
    assert elsewhere.policy == params.policy
    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"].values()
    assert [name for stage in stages for name in stage["params"] if name.startswith("engine")] == []
