"""Sweeps the settings of the members: trials on inner folds, each a nested run of MLflow; the best as a params file.

The best settings become a version as any others do, by the stages of dvc.yaml, and pass the same gate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from time import monotonic

from lockgate.engine import choice
from lockgate.engine.engine import Engine
from lockgate.errors import LockgateError, StateConflict
from lockgate.operations import sweep_report
from lockgate.operations.sweep_log import TrialLog
from lockgate.operations.sweep_report import Comparison, comparison
from lockgate.operations.sweep_setup import Setup
from lockgate.operations.workspace import Workspace
from lockgate.sweep import study as studies
from lockgate.sweep.executor import Executor
from lockgate.sweep.search import Rules, search
from lockgate.sweep.study import Study
from lockgate.sweep.trials import TrialRecord, best_of
from lockgate.system import service_urls

JOURNAL = ".journal"
SECONDS_OF_AN_HOUR = 3600
SAID = {"space": "search space", "seed": "seed", "rows_digest": "prepared table", "settings": "params.yaml"}
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """The number of trials in all, the hours after which none begins, whether the last sweep goes on, and the most
    trials at the same time: None for one on each worker of the engine.
    """

    trials: int
    hours: float | None = None
    resume: bool = False
    workers: int | None = None


def sweep(workspace: Workspace, setup: Setup, order: Order, tell: Tell) -> Comparison:
    """Run the trials, and write the best settings into the build folder.

    Raises Unavailable before any work if MLflow does not answer. If MLflow is lost later, the trials stay in the
    journal, the best is written, and Unavailable is raised at the end: `--resume` logs the rest. An interruption loses
    no finished trial, and the best of them is written too.
    """
    workspace.registry()
    path = _journal(workspace, order.resume)
    with choice.here(setup.params.engine, workspace.timeout) as engine, studies.journal(path) as storage:
        study = Study(storage, setup.space, setup.present(), setup.params.seed)
        _require_same_plan(study, setup, path)
        log = TrialLog(workspace, setup, path.stem, tell)
        try:
            _search(study, engine, setup, order, _Ended(study, log, tell))
        except BaseException:
            _conclude_early(study, setup, log, tell)
            raise
        return _conclude(study, setup, log, "FINISHED")


def _journal(workspace: Workspace, resume: bool) -> Path:
    """The journal of a new sweep, or of the last one. Raises StateConflict if there is none."""
    home = workspace.home or service_urls.stack_folder(Path.cwd()) / service_urls.STATE_FILE.parent
    folder = home / "sweeps" / workspace.model
    if not resume:
        return folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}{JOURNAL}"
    known = sorted(folder.glob(f"*{JOURNAL}"))
    if not known:
        raise StateConflict(f"no sweep of {workspace.model} to resume", where=str(folder), hint="leave out --resume")
    return known[-1]


def _require_same_plan(study: Study, setup: Setup, path: Path) -> None:
    """Record the plan of a new sweep. Raises StateConflict if that of an earlier one is another."""
    plan, known = setup.plan, study.about
    if not known:
        study.begin(plan)
    elif changed := [name for name, value in plan.items() if known.get(name) != value]:
        raise StateConflict(
            f"the {SAID[changed[0]]} differs from that of the sweep",
            where=path.stem,
            hint="start a new sweep without --resume, or restore params.yaml and the data",
        )


@dataclass(frozen=True)
class _Ended:
    """What happens when a trial is over: it is told and logged."""

    study: Study
    log: TrialLog
    tell: Tell

    def __call__(self, number: int) -> None:
        trials = self.study.trials()
        self.tell(self._line(trials[number], trials))
        self.log.add(trials)

    def _line(self, trial: TrialRecord, trials: list[TrialRecord]) -> str:
        best = best_of(trials)
        of_best = f"; best: trial {best.number}, error {best.errors[-1]:.5g}" if best else ""
        if trial.state == "failed":
            return f"trial {trial.number} failed: {trial.reason}{of_best}"
        scored = f"error {trial.errors[-1]:.5g} on {len(trial.of_folds)} folds"
        return f"trial {trial.number} {trial.state}: {scored}, {trial.cpu_seconds:.0f} CPU-seconds{of_best}"


def _search(study: Study, engine: Engine, setup: Setup, order: Order, ended: _Ended) -> None:
    until = monotonic() + order.hours * SECONDS_OF_AN_HOUR if order.hours else inf

    def goes_on(begun: int) -> bool:
        return begun < order.trials and monotonic() < until

    executor = Executor(engine, setup.tables(), order.workers)
    try:
        search(study, executor, Rules(setup.params_with, goes_on, ended), study.adopt())
    finally:
        executor.close()


def _conclude_early(study: Study, setup: Setup, log: TrialLog, tell: Tell) -> None:
    """Write and log what an interrupted sweep has; its own error is the one that counts."""
    try:
        _conclude(study, setup, log, "KILLED")
    except LockgateError as refused:
        tell(f"warning: {refused}")


def _conclude(study: Study, setup: Setup, log: TrialLog, status: str) -> Comparison:
    """Write the best settings and log the comparison."""
    found = comparison(log.name, setup, study.trials(), study.importances())
    log.close(found, sweep_report.write(found, setup), status)
    return found
