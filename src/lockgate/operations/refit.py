"""`lockgate refit`: trains a passed version again, on the holdout too, and registers a new version.

No known day is left to judge it. So the new version starts in None, and the gate judges it on a later holdout.
Why: docs/decisions/refit.md.
"""

import ast
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pydantic import ValidationError

from lockgate.bundle import store
from lockgate.bundle.snapshot import snapshot_of
from lockgate.data import dataset
from lockgate.data.data_card import read_card
from lockgate.database import verdicts, versions
from lockgate.errors import StateConflict
from lockgate.forecaster.ensemble import Forecaster
from lockgate.gate.evidence import Outcome
from lockgate.lifecycle.model_state import Registered
from lockgate.models.members import MEMBERS
from lockgate.operations import load_version, register
from lockgate.operations.stage_files import Build, Receipt
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params, current_name
from lockgate.reports import run_metrics
from lockgate.system.readable_line import readable_line
from lockgate.training import refit as refits
from lockgate.training.fitting import Progress
from lockgate.training.refit import EarlierTraining

if TYPE_CHECKING:
    from lockgate.registry.run_log import Contents, RunRecord

OF_TRAINING = ("seed", "threads", "members", "training")  # a training depends on these params, and on the problem


@dataclass(frozen=True)
class Order:
    """The version to refit, the reason, and the folder of the tables."""

    version: int
    reason: str
    prepared: Path


@dataclass(frozen=True)
class Refitted:
    """The new version, and its last training period."""

    receipt: Receipt
    trained_until: str


@dataclass(frozen=True)
class Again:
    """A refitted forecaster: a source of a registration, like a build of the pipeline."""

    made: Build
    earlier: EarlierTraining
    weights: Mapping[str, float]
    tags: Mapping[str, str]

    @property
    def bundle(self) -> Path:
        """The bundle's folder."""
        return self.made.bundle

    def contents(self, digest: str) -> "Contents":
        """The bundle, with rows of its probe as the example, because the holdout is training data here."""
        from lockgate.operations import run_record

        return run_record.brought_contents(
            self.bundle, digest, self.earlier.params.problem, store.probe_rows(self.bundle)
        )

    def record(self) -> "RunRecord":
        """The settings of the earlier version, its number, and the data of the training."""
        from lockgate.operations import run_record

        chosen = run_metrics.of_choice(self.earlier.rounds, self.weights)
        return run_record.refit_record(self.made, self.earlier.params, chosen, self.tags)


def refit(workspace: Workspace, order: Order, params: Params, progress: Progress) -> Refitted:
    """Train a passed version again on rows and holdout, and register the result.

    The same refit again gives the same version.

    Raises StateConflict unless the version passed the gate on this holdout, no rollback took it out of Production, and
    the train stage made it; WrongUsage unless the reason is one readable line.
    """
    readable_line(order.reason, "the reason")
    candidate = _passed(workspace, order)
    rows = pd.concat([dataset.read(order.prepared, "rows"), dataset.read(order.prepared, "holdout")])
    rows = rows.sort_values([*params.problem.keys, params.problem.time_name], ignore_index=True)
    with load_version.opened(workspace, load_version.recorded(workspace, candidate.version)) as opened:
        given = opened.forecaster
        if not isinstance(given, Forecaster):
            raise _unknown_training(candidate.version)
        problem = given.problem.model_copy(update={"horizon": given.window.horizon})
        earlier = _earlier_training(workspace, candidate.version, params.model_copy(update={"problem": problem}))
        forecaster = refits.refit(given, earlier, rows, dataset.read(order.prepared, "static"), progress)
    until = str(forecaster.window.trained_until(forecaster.problem.period))
    with tempfile.TemporaryDirectory(prefix="lockgate-") as folder:
        made = Build(order.prepared, Path(folder))
        store.save(forecaster, made.bundle, snapshot_of(forecaster, rows))
        tags = {
            "refit_of": str(order.version),
            "refit_reason": order.reason,
            "refit_by": workspace.actor,
            "trained_until": until,
        }
        receipt = register.enter(workspace, Again(made, earlier, forecaster.weights, tags))
    return Refitted(receipt, until)


def _passed(workspace: Workspace, order: Order) -> Registered:
    """The version; raises StateConflict unless its newest verdict is passed, on the holdout of the given tables."""
    state = workspace.state()
    candidate = state.find(order.version)
    verdict = verdicts.latest_verdict(workspace.database, workspace.model, order.version)
    hint = f"judge it first: lockgate validate {order.version}"
    if verdict is None:
        raise StateConflict(f"version {order.version} cannot be refit: it has no verdict", hint=hint)
    if verdict.outcome != Outcome.PASSED:
        raise StateConflict(
            f"version {order.version} cannot be refit: its newest verdict is {verdict.outcome}",
            hint="refit one that passed: lockgate list",
        )
    if verdict.digests.holdout_digest != read_card(order.prepared)["holdout"]["digest"]:
        raise StateConflict(
            f"version {order.version} passed on another holdout than that of {order.prepared}", hint=hint
        )
    if state.quarantined(order.version):
        raise StateConflict(
            f"version {order.version} cannot be refit: a rollback took it out of Production",
            hint="refit another version, or train a new one: dvc repro",
        )
    return candidate


def _earlier_training(workspace: Workspace, version: int, params: Params) -> EarlierTraining:
    """Params and rounds from the version's run; `params` gives the problem, and what does not change a training."""
    known = versions.recorded_version(workspace.database, workspace.model, version)
    if known is None:
        raise _unknown_training(version)
    run = workspace.registry().read_run(known.run_id)
    nested = nested_params(run.params)
    metrics = {run_metrics.current_name(name): value for name, value in run.metrics.items()}
    of_member = {name: f"{run_metrics.ROUNDS}{name}" for name in MEMBERS}
    rounds = {name: int(metrics[key]) for name, key in of_member.items() if key in metrics}
    if len(rounds) < len(MEMBERS) or not nested.keys() >= set(OF_TRAINING):
        raise _unknown_training(version)
    recorded = {name: nested[name] for name in OF_TRAINING}
    try:
        return EarlierTraining(Params.model_validate(params.model_dump() | recorded), rounds)
    except ValidationError as error:
        raise StateConflict(
            f"version {version} was trained with params that this release does not know",
            hint="train another version: dvc repro",
        ) from error


def _unknown_training(version: int) -> StateConflict:
    return StateConflict(
        f"the params and rounds of version {version} are unknown: the train stage did not make it",
        hint="train it in its own project on the newer days, and register it: lockgate register PATH",
    )


def nested_params(flat: Mapping[str, str]) -> dict[str, Any]:
    """Nested params from the dotted names and texts of a run, under their present names."""
    nested: dict[str, Any] = {}
    for name, text in flat.items():
        *sections, key = name.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        place[current_name(key)] = _value(current_name(text))
    return nested


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
