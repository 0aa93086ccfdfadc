"""Scores the folds of trials by an engine: at most one trial in a process at a time."""

from typing import Any

from lockgate.engine.engine import Engine, Failed
from lockgate.errors import WrongUsage
from lockgate.problem.params import Params
from lockgate.training.inner_score import InnerScore, Tables, forget, score_first_folds

NAME = "sweep"
MORE_WORKERS = "start more: lockgate up --workers N, with engine.kind: dask in params.yaml, or LOCKGATE_DASK"


class Executor:
    """Scores trials on an engine; as many at the same time as there are slots. A trial keeps its process.

    Raises WrongUsage if `most` is above the number of slots.
    """

    def __init__(self, engine: Engine, tables: Tables, most: int | None = None) -> None:
        self._engine, self._tasks = engine, engine.tasks(NAME)
        self.slots = most or self._tasks.slots
        if self.slots > self._tasks.slots:
            raise WrongUsage(f"--workers is {most}, and there are {self._tasks.slots} to run trials", hint=MORE_WORKERS)
        self._tables: Any = engine.scatter(tables)
        self._trials: dict[int, int] = {}  # by slot

    def submit(self, number: int, params: Params, folds: int) -> None:
        """Begin to score the trial with this number on the first folds."""
        slot = next((slot for slot, trial in self._trials.items() if trial == number), None)
        if slot is None:
            slot = next(each for each in range(self.slots) if each not in self._trials)
        self._trials[slot] = number
        self._tasks.submit(slot, score_first_folds, self._tables, params, folds)

    def next(self) -> tuple[int, InnerScore | Failed]:
        """Wait for a score; the number of its trial, and the score."""
        slot, found = self._tasks.next()
        return self._trials[slot], found

    def release(self, number: int) -> None:
        """The trial is over: its process is free for another one."""
        self._trials = {slot: trial for slot, trial in self._trials.items() if trial != number}

    def close(self) -> None:
        """Give up what is not scored yet, and free the memory of the processes that scored."""
        self._tasks.close()
        self._engine.everywhere(forget)
