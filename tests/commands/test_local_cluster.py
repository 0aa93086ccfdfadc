"""The local Dask cluster of `lockgate up --workers`: on this machine only, private, stopped without a trace."""

import json
import os
import stat
import sys
import time
from pathlib import Path

import dask
import dask_processes
import engine_tasks
import free_port
import psutil
import pytest
from click.testing import CliRunner

from lockgate.cli import lockgate
from lockgate.cli.status import _show_local_cluster
from lockgate.engine import choice
from lockgate.errors import BadConfiguration, LockgateError
from lockgate.problem.params import EngineParams
from lockgate.stack import dask_workers, processes, up_down

SECONDS = 120


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The `.lockgate` of a stack in which only a cluster of two workers runs."""
    folder = tmp_path_factory.mktemp("with a cluster") / ".lockgate"
    (folder / "logs").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(dask_processes.TESTS))
        cluster = dask_workers.start(folder, 2, dask_workers.memory_of_each(2, "1GiB"), time.monotonic() + SECONDS)
    (folder / "stack.json").write_text(json.dumps({"dask": dask_workers.as_record(cluster)}))
    yield folder
    dask_workers.stop(folder, 10)


def test_the_engine_finds_it_without_an_address(home):
    with choice.here(EngineParams(kind="dask"), SECONDS, home.parent) as engine:
        assert engine.workers == 2
        assert engine.map(engine_tasks.scaled, [1, 2, 3], "scale", shared=(7,)) == [7, 14, 21]


def test_it_listens_on_this_machine_only(home):
    sockets = [each for process in dask_workers.running(home) for each in process.net_connections("inet")]
    assert {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_only_its_user_can_read_its_key(home):
    kept = [dask_workers.folder(home), *dask_workers.folder(home).glob("*.pem")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o700, 0o600}


def test_without_its_key_no_work_gets_in(home, tmp_path):
    address = up_down.cluster(home.parent).address
    for named in (address, address.replace("tls://", "tcp://")):
        with pytest.raises(LockgateError), choice.here(EngineParams(kind="dask", address=named), 2, tmp_path):
            pass


def test_the_certificate_may_come_by_the_configuration_of_dask(home, tmp_path):
    certificate, key = (str(dask_workers.folder(home) / name) for name in ("certificate.pem", "key.pem"))
    given = EngineParams(kind="dask", address=up_down.cluster(home.parent).address)
    tls = {"ca-file": certificate, "client.cert": certificate, "client.key": key}
    settings = {f"distributed.comm.tls.{name}": value for name, value in tls.items()}
    with dask.config.set(settings), choice.here(given, SECONDS, tmp_path) as engine:
        assert engine.workers == 2


def shown_by_status(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    _show_local_cluster()
    return capsys.readouterr().out


def test_status_shows_its_address_and_its_workers(home, monkeypatch, capsys):
    address = up_down.cluster(home.parent).address
    assert shown_by_status(home.parent, monkeypatch, capsys) == f"Dask        {address}, 2 workers of 1 GiB\n"


def test_status_says_that_the_scheduler_is_gone_while_a_worker_waits_for_it(tmp_path, monkeypatch, capsys):
    """The worker is of a cluster whose scheduler does not exist any more."""
    home, address = tmp_path / ".lockgate", f"tcp://127.0.0.1:{free_port.free_port()}"
    (home / "logs").mkdir(parents=True)
    record = dask_workers.as_record(dask_workers.Cluster(address, 2, 2**30))
    (home / "stack.json").write_text(json.dumps({"dask": record}))
    assert shown_by_status(tmp_path, monkeypatch, capsys) == ""
    words = [sys.executable, "-m", "dask", "worker", address, "--death-timeout", "60", "--no-dashboard", "--no-nanny"]
    processes.launch(words, home / "logs" / "worker.log", os.environ | {dask_workers.MARK: str(home)})
    try:
        shown = shown_by_status(tmp_path, monkeypatch, capsys)
    finally:
        dask_workers.stop(home, 10)
    gone = "its scheduler is gone, start it again with: lockgate up --workers 2"
    assert shown == f"Dask        {address}, 2 workers of 1 GiB; {gone}\n"


@pytest.mark.long
def test_a_cluster_of_another_size_takes_its_place_and_down_leaves_nothing(home):
    told = []
    before = {process.pid for process in dask_workers.running(home)}
    up_down._set_cluster(home, up_down.Workers(2, "1GiB"), time.monotonic() + SECONDS, told.append)
    assert ({process.pid for process in dask_workers.running(home)} & before, told) == (before, [])
    up_down._set_cluster(home, up_down.Workers(1, "1GiB"), time.monotonic() + SECONDS, told.append)
    assert told == ["stopped the Dask cluster", "starting 1 Dask worker"]
    assert str(up_down.cluster(home.parent)).endswith(", 1 worker of 1 GiB")
    assert up_down.down(home.parent, tell=told.append)
    assert (dask_workers.running(home), dask_workers.folder(home).exists()) == ([], False)
    assert up_down.cluster(home.parent) is None


@pytest.mark.parametrize("size", ["much", "1KiB", "-1GiB"])
def test_a_size_that_no_worker_can_have_is_refused(size):
    with pytest.raises(BadConfiguration, match="is not the memory of a worker"):
        dask_workers.memory_of_each(2, size)


def test_without_a_size_the_workers_share_the_memory_of_the_machine():
    share = dask_workers.memory_of_each(4, None)
    assert 0 < 4 * share <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_size_without_a_number_of_workers_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(lockgate, ["up", "--worker-memory", "1GiB"])
    assert done.exit_code != 0
    assert not Path(".lockgate").exists()
