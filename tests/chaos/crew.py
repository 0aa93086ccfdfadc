"""The workers' processes: forked from a server that has imported everything once, and born again when they die."""

import os
import threading
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

from chaos import worker
from chaos.journal import Journal
from chaos.scene import Place

TESTS = Path(__file__).parents[1]
HUNG_SECONDS = 90.0


class NotSetUp(Exception):
    """The scenario did not come about in time, for example on a slow machine: no promise was put to the test."""


def forkserver() -> Any:
    """A context of multiprocessing whose children begin with Lockgate, mlflow and the boosters in memory."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["chaos.worker"])
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(TESTS) not in known:  # the server finds its modules there, and nowhere else
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS), *known]))
    return context


def run_one(work: Callable[..., None], *args: Any, patience: float = HUNG_SECONDS) -> int:
    """Run a function in a process of its own; the exit code, negative for a signal.

    Raises TimeoutError after this many seconds, and ends the process.
    """
    process = forkserver().Process(target=work, args=args)
    process.start()
    process.join(patience)
    is_late = process.is_alive()
    process.kill()
    process.join()
    code = int(process.exitcode or 0)
    process.close()
    if is_late:
        raise TimeoutError(f"{work.__name__} was not done within {patience:g} s")
    return code


class Crew:
    """A number of workers at a place."""

    def __init__(self, place: Place, size: int, seed: str, diary: Journal) -> None:
        self.place = place
        self._seed = seed
        self._diary = diary
        self._context = forkserver()
        self._lives: dict[int, tuple[str, BaseProcess]] = {}
        self._births = dict.fromkeys(range(1, size + 1), 0)
        self._changing = threading.Lock()  # the faults come from another thread

    def start(self) -> None:
        (self.place.folder / worker.STOP).unlink(missing_ok=True)
        for number in self._births:
            self._give_birth(number)

    def renew(self) -> None:
        """Put a new life in the place of each one that has ended."""
        for number, (life, process) in list(self._lives.items()):
            if not process.is_alive():
                with self._changing:
                    self._bury(life, process)
                    self._give_birth(number)

    def kill_one(self, dice: Random) -> None:
        """Kill a worker, wherever it is."""
        with self._changing:
            _, process = self._lives[dice.choice(sorted(self._lives))]
            process.kill()

    def end(self, patience: float) -> list[str]:
        """Let all finish what they do; the lives that had to be killed for not coming to an end."""
        (self.place.folder / worker.STOP).touch()
        hung = []
        for life, process in self._lives.values():
            process.join(patience)
            if process.is_alive():
                hung.append(life)
                process.kill()
                process.join()
            self._bury(life, process)
        return hung

    def _give_birth(self, number: int) -> None:
        self._births[number] += 1
        life = f"w{number}.{self._births[number]}"
        process = self._context.Process(target=worker.work, args=(self.place, life, f"{self._seed}/{life}"), name=life)
        process.start()
        self._lives[number] = (life, process)

    def _bury(self, life: str, process: BaseProcess) -> None:
        self._diary.write("died", life=life, code=process.exitcode)
        process.close()
