"""Metadata that an imported model must declare: the end of its training data, and the meaning of its output.

The command line or the metadata of the model declares it; the two must not contradict. Imports nothing heavy.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from lockgate.errors import WrongUsage
from lockgate.problem.description import Problem
from lockgate.problem.target import EARLIER_NAMES, Target

Until = date | int  # a day, or a number if time is a running number

OF_NUMBERS: tuple[Target, ...] = ("value", "log", "log1p")
OF_CLASSES: tuple[Target, ...] = ("probability", "logit")
TARGETS = (*OF_NUMBERS, *OF_CLASSES)
EARLIEST, LATEST = date(1990, 1, 1), date(2100, 12, 31)
METADATA = "the model's metadata"
LONGEST_SHOWN = 40  # characters of a value


@dataclass(frozen=True)
class DeclaredMetadata:
    """Metadata from one source; None for a value that it does not declare.

    `columns` are the input columns in the order of the training, `classes` those of the outputs in their order.
    """

    trained_until: Until | None = None
    target: Target | None = None
    columns: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is declared."""
        return self == DeclaredMetadata()


@dataclass(frozen=True)
class ModelMetadata:
    """What both sources declare, and the source of each value. `trained_until` is None but for a panel."""

    trained_until: Until | None
    target: Target
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    sources: Mapping[str, str]  # by the name of the value

    def by(self, name: str) -> str:
        """The source of a value."""
        return self.sources.get(name, "by default")


def resolve(declared: DeclaredMetadata, metadata: Mapping[str, Any], who: str, problem: Problem) -> ModelMetadata:
    """Combine what the user `who` declares with the model's metadata; the target itself, or probabilities, by default.

    Raises WrongUsage where the two contradict, for an impossible value, and where a panel's `trained_until` is missing.
    """
    written = _written(metadata, problem)
    for name in ("trained_until", "target", "columns", "classes"):
        mine, theirs = getattr(declared, name), getattr(written, name)
        if None not in (mine, theirs) and mine != theirs:
            raise WrongUsage(
                f"--{name.replace('_', '-')} {_shown(mine)} contradicts {METADATA}: {_shown(theirs)}",
                hint="correct the wrong one",
            )
    sources = {
        field.name: who if getattr(declared, field.name) is not None else METADATA
        for field in fields(DeclaredMetadata)
        if getattr(declared, field.name) is not None or getattr(written, field.name) is not None
    }
    return ModelMetadata(
        _end_of_training(problem, declared, written),
        _target(problem, declared.target or written.target),
        declared.columns or written.columns or (),
        declared.classes or written.classes or (),
        sources,
    )


def time_of(problem: Problem, text: str) -> Until:
    """The end of a training as the user writes it. Raises WrongUsage for a text that is none."""
    if problem.time and problem.period.is_integer:
        if text.removeprefix("-").isdecimal():
            return int(text)
        raise WrongUsage(f"{problem.time_name} {text[:LONGEST_SHOWN]!a} is no whole number", hint="such as 80")
    form = "%Y-%m" if problem.time and problem.period.name == "month" and len(text) == len("2015-08") else "%Y-%m-%d"
    try:
        return datetime.datetime.strptime(text, form).date()
    except ValueError:
        raise WrongUsage(f"{text[:LONGEST_SHOWN]!a} is no date", hint="write it as YYYY-MM-DD") from None


def _end_of_training(problem: Problem, declared: DeclaredMetadata, written: DeclaredMetadata) -> Until | None:
    if problem.kind != "panel":
        if declared.trained_until is not None:
            raise WrongUsage(f"{problem.name} has no horizon, so a model has no last period of its training",
                             hint="leave out --trained-until")  # fmt: skip
        return None
    until = written.trained_until if declared.trained_until is None else declared.trained_until
    if until is None:
        raise WrongUsage(
            "the last day of the model's training data is not declared"
            if not problem.period.is_integer
            else f"the last {problem.time_name} of the model's training data is not declared",
            hint='add --trained-until YYYY-MM-DD, or save it with metadata={"trained_until": "YYYY-MM-DD"}',
        )
    if isinstance(until, date) and not EARLIEST <= until <= LATEST:
        raise WrongUsage(f"the model was trained until {until}", hint=f"declare a day from {EARLIEST} to {LATEST}")
    return until


def _target(problem: Problem, target: Target | None) -> Target:
    allowed = OF_NUMBERS if problem.task == "regression" else OF_CLASSES
    if target is not None and target not in allowed:
        raise WrongUsage(
            f"--target {target} does not fit {problem.name}, whose task is {problem.task}",
            hint=f"one of {', '.join(allowed)}",
        )
    return target or allowed[0]


def _written(metadata: Mapping[str, Any], problem: Problem) -> DeclaredMetadata:
    until, target = metadata.get("trained_until"), metadata.get("target")
    target = EARLIER_NAMES.get(str(target), target)
    if target is not None and target not in TARGETS:
        raise WrongUsage(
            f"{METADATA} name the target {str(target)[:LONGEST_SHOWN]!a}", hint=f"one of {', '.join(TARGETS)}"
        )
    try:
        time = None if until is None or problem.kind != "panel" else time_of(problem, str(until))
    except WrongUsage as wrong:
        raise WrongUsage(f"{METADATA} say trained_until {wrong.message}", hint=wrong.hint) from None
    return DeclaredMetadata(time, target, _texts(metadata, "columns"), _texts(metadata, "classes"))


def _texts(metadata: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    found = metadata.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or not found:
        raise WrongUsage(f"{METADATA} name {name} that are no list", hint=f'such as metadata={{"{name}": ["a", "b"]}}')
    return tuple(map(str, found))


def _shown(value: object) -> str:
    return ",".join(value)[:LONGEST_SHOWN] if isinstance(value, tuple) else str(value)
