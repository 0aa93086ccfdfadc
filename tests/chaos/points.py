"""The named points at which a process is killed: between any two steps of a command. The steps are wrapped here."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from operator import attrgetter
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

MOVING = (
    "lockgate.database.intents:open_intent",
    "lockgate.registry.client:Registry.move",
)
# In the order in which they end. `intents.mark_reported` is none: a kill after it comes at the end of the command.
REGISTER = (
    "lockgate.database.versions:version_of_digest",
    "mlflow:MlflowClient.create_experiment",
    "mlflow:start_run",
    "mlflow:MlflowClient.log_batch",
    "mlflow:MlflowClient.log_artifact",
    "lockgate.registry.client:log_model",
    "mlflow:MlflowClient.create_registered_model",
    "mlflow:MlflowClient.create_model_version",
    "lockgate.registry.client:Registry.find_or_create",
    "lockgate.database.versions:record_version",
)
VALIDATE = (
    "lockgate.database.policies:put_in_force",
    "lockgate.operations.score_candidate:examine",
    "lockgate.database.verdicts:record_verdict",
    "lockgate.registry.client:Registry.log_verdict",
    "mlflow:MlflowClient.set_model_version_tag",
    "lockgate.registry.client:Registry.tag_version",
    *MOVING,
)
CLEAR = (
    "lockgate.registry.client:Registry.hide_run",
    "lockgate.registry.client:Registry.hide_model",
    "lockgate.registry.client:Registry.delete_files",
    "lockgate.database.storage_use:erase",
)
STEPS = {
    "register": REGISTER,
    "bring": ("lockgate.evaluation.sandboxed:open_bundle", *REGISTER),
    "validate": VALIDATE,
    "repro": (*REGISTER, *VALIDATE),
    "promote": ("lockgate.database.intents:objection_to_rise", *MOVING),
    "rollback": ("lockgate.operations.load_version:verify", *MOVING),
    "reject": ("lockgate.database.approvals:record", *MOVING),
    "retire": MOVING,
    "approve": ("lockgate.database.approvals:record",),
    "gc": (*MOVING, *CLEAR),
    "doctor": CLEAR,
}


def points(kind: str) -> list[str]:
    """A point between any two steps of a command, before the first and after the last, in their order."""
    steps = STEPS.get(kind, ())
    return [f"before {step}" for step in steps[:1]] + [f"after {step}" for step in steps]


@contextmanager
def deadly(point: str | None, last_words: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While the block lasts, this process dies by SIGKILL where the point is reached first; None kills nobody."""
    if point is None:
        yield
        return
    moment, _, step = point.partition(" ")
    module, _, name = step.partition(":")
    *owner, function = name.split(".")
    place = attrgetter(*owner)(resolve_name(module)) if owner else resolve_name(module)
    with patch.object(place, function, _dying(getattr(place, function), moment, last_words)):
        yield


def _dying(step: Callable[..., Any], moment: str, last_words: Callable[[], None]) -> Callable[..., Any]:
    @wraps(step)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if moment == "after":
            step(*args, **kwargs)
        last_words()
        os.kill(os.getpid(), signal.SIGKILL)

    return wrapped
