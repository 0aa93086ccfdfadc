"""What an actor may do to a model: how it is drawn and how it is done. A new one is a function and a line in KINDS."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import nan
from pathlib import Path
from random import Random
from typing import Any

from chaos import raw
from chaos.journal import Asked, Outcome
from chaos.raw import Told
from chaos.scene import FOREIGN, WORK_SECONDS, Place
from lockgate.bundle.external_metadata import DeclaredMetadata
from lockgate.data.data_card import read_card
from lockgate.database import verdicts, versions
from lockgate.database.verdicts import Digests, Verdict
from lockgate.doctor import checks as doctor_checks
from lockgate.doctor.context import Site
from lockgate.errors import StateConflict
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.retention import Rule
from lockgate.lifecycle.stages import Stage
from lockgate.operations import (
    gc as operations_gc,
)
from lockgate.operations import (
    import_model,
    review,
)
from lockgate.operations import (
    promote as operations_promote,
)
from lockgate.operations import (
    register as operations_register,
)
from lockgate.operations import (
    retire as operations_retire,
)
from lockgate.operations import (
    rollback as operations_rollback,
)
from lockgate.operations import (
    status as operations_status,
)
from lockgate.operations import (
    validate as operations_validate,
)
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.stage_files import Build, Receipt
from lockgate.operations.workspace import Workspace
from lockgate.problem.description import Problem
from lockgate.problem.params import Policy

Values = dict[str, Any]
DECISIONS = ["approved", "rejected", "maybe"]
COMES_FROM = {
    "None": ["Staging"],
    "Staging": ["None"],
    "Production": ["Staging", "Archived"],
    "Archived": ["Production"],
}
STAGES = ["None", "Staging", "Production", "Archived"]
POLICIES: dict[str, dict[str, Any]] = {
    "usual": {},
    "stricter": {"limit": 0.7},
    "signed": {"approval_required": True},
}
CLI_SECONDS = 60


@dataclass(frozen=True)
class Actor:
    """Who does one operation, and where: `build` copies are its own, as a working folder is."""

    place: Place
    asked: Asked
    problem: str

    @property
    def backend(self) -> Workspace:
        return self.place.backend(self.problem, self.asked.id)

    @property
    def request(self) -> MoveRequest:
        return MoveRequest(reason(self.asked.id), dry_run=False, confirm=lambda _: None)

    def build(self, number: int) -> Build:
        """This worker's copy of the bundle with that number."""
        origin = self.place.builds[number - 1]
        own = self.place.folder / self.asked.id.partition(".")[0] / origin.build.name
        if not own.exists():
            draft = own.with_name(f"{own.name}.{os.getpid()}")
            shutil.copytree(origin.build, draft)
            draft.rename(own)
        return Build(origin.prepared, own)

    def policy(self) -> Policy:
        return policy_named(self.place, self.problem, self.asked.values["policy"])

    def problem_described(self) -> Problem:
        """The description of the actor's problem."""
        return self.place.params(self.problem).problem


@dataclass(frozen=True)
class Draw:
    """What values are drawn from: the actor's dice, how many bundles there are, and who stands where."""

    dice: Random
    bundles: int
    stages: Mapping[int, str]

    def version(self, *stages: str) -> int:
        """Mostly one that stands in these stages; at times any, or none that there is."""
        fitting = [version for version, stage in self.stages.items() if stage in stages]
        if fitting and self.dice.random() < 0.8:
            return self.dice.choice(fitting)
        return self.dice.randint(1, max(self.stages, default=0) + 2)

    def bundle(self) -> int:
        return self.dice.randint(1, self.bundles)

    def policy(self) -> str:
        return self.dice.choices(list(POLICIES), [30, 1, 1])[0]


@dataclass(frozen=True)
class Kind:
    """One kind of operation: how often, what is drawn for it, and what is done. `act` returns what it was told."""

    weight: float
    draw: Callable[[Draw], Values]
    act: Callable[[Actor], Values]


def reason(operation: str) -> str:
    """Why an operation is done, as the ledger will tell it."""
    return f"asked by {operation}"


def policy_named(place: Place, problem: str, name: str) -> Policy:
    """The gate of the problem's params, with what this policy changes of it."""
    return place.params(problem).policy.model_copy(update=POLICIES[name])


# --- Lockgate's own commands -----------------------------------------------------------------------------------------


def register(actor: Actor) -> Values:
    """A bundle that may be there already, perhaps in this very moment by somebody else."""
    made = actor.build(actor.asked.values["bundle"])
    receipt = operations_register.register(actor.backend, made, actor.place.params(actor.problem))
    return {"version": receipt.version, "digest": receipt.bundle_digest}


def bring(actor: Actor) -> Values:
    """A bundle, or somebody else's MLflow model, from a folder outside of the project."""
    values, prepared = actor.asked.values, actor.place.builds[0].prepared
    problem = actor.place.params(actor.problem).problem
    arrived = import_model.bring(
        actor.backend, _brought(actor, values), DeclaredMetadata(None, None), prepared, problem
    )
    return {"version": arrived.receipt.version, "digest": arrived.receipt.bundle_digest}


def _brought(actor: Actor, values: Values) -> Path:
    return actor.place.foreign[values["foreign"]] if "foreign" in values else actor.build(values["bundle"]).bundle


def validate(actor: Actor) -> Values:
    """A version that was registered before; mostly its verdict is by the pen, and need only be found again."""
    backend, values = actor.backend, actor.asked.values
    if values.get("pen"):
        _by_the_pen(actor, values["version"], "passed")
    version = values["version"]
    known = _known(backend, version)
    receipt = Receipt(backend.model, version, known.run_id, known.bundle_digest)
    verdict = operations_validate.validate(backend, receipt, actor.build(1), actor.policy(), actor.problem_described())
    return {"version": version, "verdict": verdict.id, "outcome": verdict.outcome}


def repro(actor: Actor) -> Values:
    """What `dvc repro` does to the registry: register, then validate."""
    made = actor.build(actor.asked.values["bundle"])
    receipt = operations_register.register(actor.backend, made, actor.place.params(actor.problem))
    verdict = operations_validate.validate(actor.backend, receipt, made, actor.policy(), actor.problem_described())
    return {
        "version": receipt.version, "digest": receipt.bundle_digest, "verdict": verdict.id, "outcome": verdict.outcome
    }  # fmt: skip


def judge(actor: Actor) -> Values:
    """A verdict by a stroke of the pen on the case as it stands; the next `validate` finds it and need not score."""
    return {"verdict": _by_the_pen(actor, actor.asked.values["version"], actor.asked.values["outcome"])}


def _by_the_pen(actor: Actor, version: int, outcome: str) -> int:
    backend, policy = actor.backend, actor.policy()
    known = _known(backend, version)
    serving = backend.state().serving()
    reference = serving.bundle_digest if serving and serving.version != version else None
    holdout = read_card(actor.place.builds[0].prepared)["holdout"]["digest"]
    digests = Digests(known.bundle_digest, holdout, policy_digest(policy), reference)
    checks = [{"name": "within limit", "outcome": outcome, "says": "by the pen"}]
    metrics = {"rmspe": {"passed": 0.07, "refused": 0.95, "inconclusive": nan}[outcome]}
    verdict = Verdict(backend.model, version, digests, outcome, checks, metrics, "c0ffee", actor.asked.id)
    return verdicts.record_verdict(backend.database, verdict).id


def _known(backend: Workspace, version: int) -> versions.Version:
    known = versions.recorded_version(backend.database, backend.model, version)
    if known is None:
        raise StateConflict(f"version {version} was not registered by us")
    return known


def promote(actor: Actor) -> Values:
    """The version in Staging or a named one, at times only if another named one serves."""
    values, policy = actor.asked.values, policy_digest(actor.policy())
    return _moved(
        operations_promote.promote(
            actor.backend, actor.request, values["version"], policy, values.get("expect_current")
        )
    )


def rollback(actor: Actor) -> Values:
    return _moved(operations_rollback.rollback(actor.backend, actor.request, actor.asked.values["to"]).move)


def retire(actor: Actor) -> Values:
    return _moved(operations_retire.retire(actor.backend, actor.request))


def reject(actor: Actor) -> Values:
    return _moved(review.reject(actor.backend, actor.asked.values["version"], reason(actor.asked.id)))


def approve(actor: Actor) -> Values:
    given = review.approve(actor.backend, actor.asked.values["version"], reason(actor.asked.id), by=None)
    return {"approval": given.id}


def gc(actor: Actor) -> Values:
    """Everything goes that nothing speaks for, however young."""
    backend, rule = actor.backend, Rule(actor.asked.values["keep"], timedelta(0))
    agreed = [fate for fate in operations_gc.plan(backend, rule) if fate.goes]
    done = operations_gc.collect(backend, rule, agreed, reason(actor.asked.id))
    return {"deleted": [fate.version for fate in done if fate.goes and fate.stage is not Stage.DELETED]}


def doctor(actor: Actor) -> Values:
    """`lockgate doctor --repair`: what it repaired, and what it found after that."""
    params = actor.place.params(actor.problem)
    found = doctor_checks.examine(Site(actor.place.folder / actor.problem, params, actor.backend), repair=True)
    for each in found.checked:
        if each.refusal is not None:
            raise each.refusal
    left = [f"{each.name}: {finding.message}" for each in found.checked for finding in each.findings]
    return {"repaired": list(found.repaired), "left": left}


def status(actor: Actor) -> Values:
    """`lockgate status`, which must not raise an alarm over what is only on its way."""
    return {"broken": list(operations_status.status(actor.backend).broken)}


def by_command_line(*words: str) -> Callable[[Actor], Values]:
    """The real command, in a process of its own, in a folder whose params.yaml names the problem."""

    def act(actor: Actor) -> Values:
        values = actor.asked.values
        given = [str(values["version"])] if values.get("version") else []
        said = ["--reason", reason(actor.asked.id), "--timeout", str(WORK_SECONDS)]
        command = [sys.executable, "-m", "lockgate", *words, *given, *said]
        where = actor.place.where
        ours = {
            "MLFLOW_TRACKING_URI": where.tracking_uri, "LOCKGATE_DATABASE_URL": where.database_url,
            "LOCKGATE_ACTOR": actor.asked.id,
        }  # fmt: skip
        done = subprocess.run(
            command, cwd=actor.place.folder / actor.problem, env=os.environ | ours, capture_output=True, text=True,
            timeout=CLI_SECONDS,
        )  # fmt: skip
        if done.returncode:
            raise Told(OUTCOMES.get(done.returncode, Outcome.BUG), f"exit {done.returncode}: {done.stderr[-400:]}")
        return {"said": done.stdout[-300:]}

    return act


# By exit code. Wrong usage, bad data, a damaged file or a full disk are nobody's doing here: such an answer is a bug.
OUTCOMES = {4: Outcome.REFUSED, 5: Outcome.REFUSED, 6: Outcome.UNKNOWN}


def _moved(move: Move | None) -> Values:
    """What a command says that it did; of a version that stood there already, nothing."""
    return {"moved": move and [move.version, move.from_stage, move.to_stage], "archives": move and move.archives}


# --- past Lockgate ---------------------------------------------------------------------------------------------------


def transition(actor: Actor) -> Values:
    values = actor.asked.values
    raw.transition(actor.place, actor.asked.model, values["version"], values["stage"], values["archive"])
    return {}


def delete(actor: Actor) -> Values:
    version = str(actor.asked.values["version"])
    raw.rest(actor.place, "DELETE", "model-versions/delete", name=actor.asked.model, version=version)
    return {}


def alias(actor: Actor) -> Values:
    """Point an alias somewhere, one of the mirrored ones mostly."""
    values = actor.asked.values
    named = {"name": actor.asked.model, "alias": values["alias"], "version": str(values["version"])}
    raw.rest(actor.place, "POST", "registered-models/alias", **named)
    return {}


def tag(actor: Actor) -> Values:
    """A reviewer in the UI: signs, then decides."""
    values = {"name": actor.asked.model, "version": str(actor.asked.values["version"])}
    raw.rest(actor.place, "POST", "model-versions/set-tag", key="approved_by", value=actor.asked.id, **values)
    raw.rest(
        actor.place, "POST", "model-versions/set-tag", key="approval", value=actor.asked.values["decision"], **values
    )
    return {}


def statement(actor: Actor) -> Values:
    """SQL by the role that owns MLflow's tables."""
    values = actor.asked.values
    named = {"model": actor.asked.model, "version": values["version"], "stage": values["stage"]}
    raw.sql(actor.place, STATEMENTS[values["statement"]], named, values["isolation"])
    return {}


OF_VERSION = "WHERE name = %(model)s AND version = %(version)s"
STATEMENTS = {
    "move": [f"UPDATE model_versions SET current_stage = %(stage)s {OF_VERSION}"],
    "swap": [
        "UPDATE model_versions SET current_stage = 'Archived' WHERE name = %(model)s AND current_stage = %(stage)s",
        f"UPDATE model_versions SET current_stage = %(stage)s {OF_VERSION}",
    ],
    "empty": ["UPDATE model_versions SET current_stage = 'Archived' WHERE name = %(model)s"],
    "delete": [f"DELETE FROM model_versions {OF_VERSION}"],
    "point elsewhere": [f"UPDATE model_versions SET source = 'models:/m-0' {OF_VERSION}"],
    "begin in Production": [
        "INSERT INTO model_versions (name, version, current_stage) VALUES (%(model)s, 1000 + %(version)s, 'Production')"
    ],
    "alias": [
        "DELETE FROM registered_model_aliases WHERE name = %(model)s",
        "INSERT INTO registered_model_aliases (name, alias, version) VALUES (%(model)s, 'production', %(version)s)",
    ],
    "truncate": ["TRUNCATE model_versions CASCADE"],
    "write the ledger": ["DELETE FROM lockgate.ledger WHERE model = %(model)s"],
}


def _draw_transition(draw: Draw) -> Values:
    stage = draw.dice.choices(STAGES, [1, 3, 4, 2])[0]
    archive = stage in ("Staging", "Production") and draw.dice.random() < 0.6
    return {"version": draw.version(*COMES_FROM[stage]), "stage": stage, "archive": archive}


def _draw_promotion(draw: Draw) -> Values:
    version = draw.version("Staging") if draw.dice.random() < 0.6 else None
    expected = {"expect_current": draw.version("Production")} if draw.dice.random() < 0.2 else {}
    return {"version": version, "policy": draw.policy(), **expected}


def _draw_statement(draw: Draw) -> Values:
    stage = draw.dice.choice(["Staging", "Production", "Production", "Archived"])
    return {
        "statement": draw.dice.choices(list(STATEMENTS), [4, 4, 1, 1, 1, 1, 1, 0.3, 1])[0],
        "version": draw.version(*COMES_FROM[stage]),
        "stage": stage,
        "isolation": draw.dice.choice(["READ COMMITTED", "REPEATABLE READ"]),
    }


def _draw_judgement(draw: Draw) -> Values:
    outcome = draw.dice.choices(["passed", "refused", "inconclusive"], [8, 1, 1])[0]
    return {"version": draw.version("None", "Staging"), "outcome": outcome, "policy": draw.policy()}


def _draw_arrival(draw: Draw) -> Values:
    foreign = draw.dice.random() < 0.4
    return {"foreign": draw.dice.randrange(FOREIGN)} if foreign else {"bundle": draw.bundle()}


def _draw_validation(draw: Draw) -> Values:
    return {"version": draw.version("None"), "policy": draw.policy(), "pen": draw.dice.random() < 0.9}


KINDS = {
    "register": Kind(8, lambda draw: {"bundle": draw.bundle()}, register),
    "bring": Kind(1, _draw_arrival, bring),
    "repro": Kind(2, lambda draw: {"bundle": draw.bundle(), "policy": draw.policy()}, repro),
    "validate": Kind(20, _draw_validation, validate),
    "judge": Kind(6, _draw_judgement, judge),
    "promote": Kind(16, _draw_promotion, promote),
    "rollback": Kind(6, lambda draw: {"to": draw.version("Archived") if draw.dice.random() < 0.5 else None}, rollback),
    "retire": Kind(1, lambda draw: {}, retire),
    "reject": Kind(2, lambda draw: {"version": draw.version("None", "Staging")}, reject),
    "approve": Kind(5, lambda draw: {"version": draw.version("Staging")}, approve),
    "gc": Kind(1, lambda draw: {"keep": draw.dice.randint(1, 3)}, gc),
    "doctor": Kind(0.7, lambda draw: {}, doctor),
    "status": Kind(3, lambda draw: {}, status),
    "promote by command line": Kind(0.5, lambda draw: {}, by_command_line("promote", "--yes")),
    "rollback by command line": Kind(0.5, lambda draw: {}, by_command_line("rollback", "--yes")),
    "transition": Kind(12, _draw_transition, transition),
    "delete": Kind(2, lambda draw: {"version": draw.version("Archived", "Production")}, delete),
    "alias": Kind(
        3, lambda draw: {"version": draw.version(), "alias": draw.dice.choice(["production", "staging", "best"])}, alias
    ),
    "tag": Kind(3, lambda draw: {"version": draw.version("Staging"), "decision": draw.dice.choice(DECISIONS)}, tag),
    "statement": Kind(10, _draw_statement, statement),
}  # fmt: skip


def drawn(draw: Draw) -> tuple[str, Values]:
    """The next operation and its values."""
    kind = draw.dice.choices(list(KINDS), [each.weight for each in KINDS.values()])[0]
    return kind, KINDS[kind].draw(draw)
