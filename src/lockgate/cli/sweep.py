"""`sweep` searches the settings of the members on the inner folds, which no holdout row is in."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import PREPARED, Number, as_json, command, params, print_json, say, table, tell
from lockgate.errors import BadConfiguration

if TYPE_CHECKING:
    from lockgate.operations.sweep_report import Comparison
    from lockgate.sweep.trials import TrialRecord

LONGEST_HOURS = 10_000


@command("sweep", example="lockgate sweep --trials 30 --apply")
@click.option(
    "--trials", type=click.IntRange(2, 10_000), default=30, show_default=True,
    help="Number of trials in all. Trial 0 has the settings of params.yaml.",
)  # fmt: skip
@click.option(
    "--hours", type=Number(min=0, min_open=True, max=LONGEST_HOURS), help="No trial begins after this number of hours."
)
@click.option(
    "--workers", type=click.IntRange(1, 10_000), help="Most trials at the same time. Default: one on each Dask worker."
)
@click.option("--resume", is_flag=True, help="Continue the last sweep, also after Ctrl-C or a crash.")
@click.option("--apply", "is_applied", is_flag=True, help="Write the best settings into params.yaml.")
@as_json
def sweep(
    trials: int, hours: float | None, workers: int | None, resume: bool, is_applied: bool, as_json: bool,
    timeout: float,
) -> None:  # fmt: skip
    """Search better settings of the members, scored on inner folds.

    The search space is the key `sweep` of params.yaml, or learning rate, size, shares and penalty of every booster.
    Each trial is a nested run of MLflow. The holdout is not read. build/sweep/params.yaml has the best settings; train
    them with `dvc repro`, and the gate judges them as any other version.
    """
    if find_spec("optuna") is None:
        raise BadConfiguration("optuna is not installed", hint="pip install 'lockgate[sweep]'")
    from lockgate.operations import sweep as operation
    from lockgate.operations import sweep_report
    from lockgate.operations.sweep_setup import Setup
    from lockgate.operations.workspace import Workspace

    setup = Setup.of(PREPARED)
    workspace = Workspace.here(params().model_name, timeout)
    found = operation.sweep(workspace, setup, operation.Order(trials, hours, resume, workers), tell)
    if is_applied and found.changes:
        sweep_report.apply(found, setup)
    _print(found, is_applied, as_json)


def _print(found: "Comparison", is_applied: bool, as_json: bool) -> None:
    from lockgate.operations import sweep_report

    if as_json:
        print_json(sweep_report.as_json(found))
        return
    heads = ["trial", "state", found.metric.label, "folds", "CPU seconds", "note"]
    table(heads, [_row(trial, found) for trial in found.trials], whole=["note"])
    click.echo()
    for line in sweep_report.in_words(found):
        say(line)
    if found.changes:
        say(f"best settings: {sweep_report.FOLDER / 'params.yaml'}")
        say("params.yaml has them now; train with: dvc repro" if is_applied
            else f"train them with: {sweep_report.experiment_line(found.changes)}")  # fmt: skip


def _row(trial: "TrialRecord", found: "Comparison") -> list[str]:
    score = "" if trial.together is None else found.metric.shown(trial.together)
    of_settings = "settings of params.yaml" if trial.number == 0 else ""
    note = "best" if trial == found.best else trial.reason or of_settings
    return [str(trial.number), trial.state, score, str(len(trial.of_folds)), f"{trial.cpu_seconds:.1f}", note]
