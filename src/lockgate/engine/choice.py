"""Chooses where work runs: LOCKGATE_DASK, else `engine` of params.yaml, else this process.

Dask is imported only where one of them names a cluster.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lockgate.engine.engine import Engine, InProcess
from lockgate.errors import BadConfiguration, Unavailable
from lockgate.problem.params import EngineParams
from lockgate.system import service_urls, timeouts

VARIABLE = "LOCKGATE_DASK"
START_ONE = "start a local cluster with: lockgate up --workers 2; or name one in engine.address or LOCKGATE_DASK"
KEY_FOLDER = service_urls.STATE_FILE.parent / "dask"  # of the local cluster
INSTALL = "pip install 'lockgate[dask]'"


@contextmanager
def here(given: EngineParams, timeout: float | None = None, folder: Path | None = None) -> Iterator[Engine]:
    """The engine of these params, connected and checked; a cluster is left at the end.

    `timeout` is the limit in seconds of a wait for the scheduler. Raises BadConfiguration if Dask is not installed or
    if a worker has other versions, Unavailable if the cluster does not answer or has no worker.
    """
    folder = service_urls.stack_folder(folder or Path.cwd())
    address = address_of(given, folder)
    if address is None:
        yield InProcess()
        return
    try:
        from lockgate.engine import dask_cluster
    except ImportError as error:
        raise BadConfiguration(
            f"work should run on the Dask cluster {address}, but {error.name or 'dask'} is not installed", hint=INSTALL
        ) from error
    key = folder / KEY_FOLDER if address == _of_local_stack(folder) else None
    with dask_cluster.connected(address, timeouts.of_one_call() if timeout is None else timeout, key) as engine:
        yield engine


def address_of(given: EngineParams, folder: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """The address of the scheduler, or None for this process; `folder` is that of the local stack.

    Raises Unavailable if `engine.kind` is dask without an address, and no local cluster runs.
    """
    if named := environment.get(VARIABLE, "").strip():
        return named
    if given.kind == "process":
        return None
    address = given.address or _of_local_stack(folder)
    if address is None:
        raise Unavailable("engine.kind is dask, but no local Dask cluster runs", where=str(folder), hint=START_ONE)
    return address


def _of_local_stack(folder: Path) -> str | None:
    """The scheduler of the cluster that `lockgate up --workers` started in this folder."""
    try:
        state = json.loads((folder / service_urls.STATE_FILE).read_text(encoding="utf-8"))
        return str(state["dask"]["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
