"""The search space of a sweep: which keys of params.yaml it changes, and to which values."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from lockgate.errors import BadConfiguration
from lockgate.problem.params import (
    PARAMS_FILE,
    FastParams,
    Params,
    SearchRange,
    alternatives,
    nearest_key,
    params_of,
    part_of,
)

Value = Any  # a value of params.yaml
Document = dict[str, Any]  # params.yaml as it is written
Settings = Mapping[str, Value]  # by dotted name: the values that a trial changes

BOOSTERS = ("lightgbm", "xgboost", "catboost")
OF_FOLDS = ("training.fold_ends_days_ago", "training.min_history_days", "fast.fold_ends_days_ago")
OF_PANELS = ("offset", "target", "remove_daily_residual", "cutoff_shifts")
LEAST_IN_LEAF, MOST_IN_LEAF, ROWS_FOR_EACH_IN_LEAF = 10, 200, 20
SEARCHED = "a sweep changes keys under members, training or fast, and problem.features"


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, which count; `whole` numbers only, or any."""

    low: float
    high: float
    log: bool
    whole: bool

    def has(self, value: Value) -> bool:
        """Whether a value lies in the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    @property
    def ends(self) -> tuple[Value, ...]:
        """Values whose validity means that of all others."""
        return (int(self.low), int(self.high)) if self.whole else (float(self.low), float(self.high))


@dataclass(frozen=True)
class Choices:
    """A list of values."""

    values: tuple[Value, ...]

    def has(self, value: Value) -> bool:
        """Whether a value is one of the list."""
        return value in self.values

    @property
    def ends(self) -> tuple[Value, ...]:
        """All values."""
        return self.values


Dimension = Range | Choices
Space = Mapping[str, Dimension]


def space_of(document: Document, rows: int, path: Path = PARAMS_FILE) -> dict[str, Dimension]:
    """The search space of the key `sweep`, or the default one for a training on this number of rows.

    Raises BadConfiguration for a name that is no key, a key that a sweep cannot change, or a value that the key does
    not allow.
    """
    written = Params.model_validate(document)
    if not written.sweep:
        return default_space(written, rows)
    for name in written.sweep:
        _require_searchable(name, written, path)
    space = {name: _dimension(name, given) for name, given in written.sweep.items()}
    for name, dimension in space.items():
        for value in dimension.ends:
            _require_allowed(document, name, value, path)
    return space


def default_space(params: Params, rows: int) -> dict[str, Dimension]:
    """Learning rate, size of trees, rows in a leaf, shares and penalty of every booster that is a member."""
    in_leaf = min(max(rows // ROWS_FOR_EACH_IN_LEAF, LEAST_IN_LEAF), MOST_IN_LEAF)
    shared = {
        "learning_rate": Range(0.02, 0.2, log=True, whole=False),
        "leaves": Range(7, 127, log=True, whole=True),
        "depth": Range(3, 9, log=False, whole=True),
        "min_rows_in_leaf": Range(3, in_leaf, log=True, whole=True),
        "feature_share": Range(0.3, 1.0, log=False, whole=False),
        "row_share": Range(0.5, 1.0, log=False, whole=False),
        "l2": Range(0.1, 100.0, log=True, whole=False),
    }
    settings = params.members.model_dump()
    return {
        f"members.{member}.{key}": dimension
        for member in boosters_of(params)
        for key, dimension in shared.items()
        if key in settings[member]
    }


def boosters_of(params: Params) -> tuple[str, ...]:
    """The boosters among the members of the problem."""
    return tuple(name for name in BOOSTERS if name in (params.problem.members or BOOSTERS))


def present(document: Document, name: str) -> Value:
    """The value that a key has in params.yaml, or its default."""
    found: Value = Params.model_validate(document).model_dump(mode="json")
    for part in name.split("."):
        found = found[part]
    return found


def changed(document: Document, settings: Settings) -> Document:
    """The document with these values; the given one stays as it is."""
    for name, value in settings.items():
        document = _with(document, name.split("."), value)
    return document


def params_with(document: Document, settings: Settings, path: Path = PARAMS_FILE) -> Params:
    """The params in force with these values. Raises BadConfiguration for a value that a key does not allow."""
    return params_of(changed(document, settings), path)


def searchable(params: Params) -> dict[str, Value]:
    """All settings that a sweep may change, as params.yaml has them: equal ones train alike but for data and seed."""
    found = params.model_dump(mode="json", include={"members", "training", "fast"})
    members = {name: found["members"][name] for name in boosters_of(params)}
    return {**found, "members": members, "problem.features": list(params.problem.features)}


def as_json(space: Space) -> dict[str, Any]:
    """The space as a JSON value."""
    return {name: asdict(dimension) for name, dimension in space.items()}


def described(dimension: Dimension) -> str:
    """A dimension in words."""
    if isinstance(dimension, Choices):
        return " | ".join(map(str, dimension.values))
    return f"{dimension.low:g} .. {dimension.high:g}{' (log)' if dimension.log else ''}"


def _with(section: Document, parts: list[str], value: Value) -> Document:
    first, *rest = parts
    return section | {first: _with(section.get(first) or {}, rest, value) if rest else value}


def _dimension(name: str, given: SearchRange | list[Value]) -> Dimension:
    if isinstance(given, list):
        return Choices(tuple(given))
    whole = float not in set(alternatives(_annotation(name)))
    return Range(given.low, given.high, given.log, whole)


def _annotation(name: str) -> Any:
    """The type of a key. Raises KeyError if there is no such key."""
    found: Any = Params
    for part in name.split("."):
        section = next((each for each in alternatives(found) if isinstance(each, type) and issubclass(each, BaseModel)),
                       None)  # fmt: skip
        if section is None:
            raise KeyError(name)
        found = part_of(section, part)
    return found


def _require_searchable(name: str, params: Params, path: Path) -> None:
    """Raise BadConfiguration unless the name is a key that a sweep can change."""
    parts = tuple(name.split("."))
    try:
        kinds = set(alternatives(_annotation(name)))
    except KeyError:
        raise BadConfiguration(f"sweep: {name} is no key of {path.name}", where=str(path), hint=_near(parts)) from None
    if any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds):
        raise BadConfiguration(f"sweep: {name} is a section", where=str(path), hint=f"name a key in it: {_near(parts)}")
    for reason, hint in _objections(name, parts, params):
        raise BadConfiguration(f"sweep: {name} {reason}", where=str(path), hint=hint)
    given = params.sweep[name]
    if isinstance(given, SearchRange) and not kinds & {int, float}:
        raise BadConfiguration(
            f"sweep: {name} has a range and is no number", where=str(path), hint=f"{name}: give a list of its values"
        )


def _objections(name: str, parts: tuple[str, ...], params: Params) -> Iterator[tuple[str, str]]:
    """Why a sweep cannot change a key, and what to do."""
    first, last = parts[0], parts[-1]
    if name in OF_FOLDS:
        yield "chooses the inner folds on which the trials are compared", "take it out: all trials need the same folds"
    elif first not in ("members", "training", "fast") and name != "problem.features":
        yield "is no setting that a sweep changes", SEARCHED
    elif first == "members" and parts[1] not in boosters_of(params):
        yield "is of no member of the problem", f"problem.members: {', '.join(params.problem.members)}"
    elif params.problem.kind != "panel" and last in OF_PANELS:
        yield "has no effect without a horizon", "take it out"
    elif first == "training" and params.profile == "fast" and last in FastParams.model_fields:
        yield "has no effect with profile: fast", f"search fast.{last}, or set profile: full"
    elif first == "fast" and params.profile == "full":
        yield "has no effect with profile: full", f"search training.{last}, or set profile: fast"


def _near(parts: tuple[str, ...]) -> str:
    """The nearest known key to a dotted name."""
    for length in range(1, len(parts) + 1):
        try:
            _annotation(".".join(parts[:length]))
        except KeyError:
            break
    try:
        return nearest_key(parts[:length])
    except (StopIteration, KeyError):
        return "give the dotted name of a key, as members.lightgbm.leaves"


def _require_allowed(document: Document, name: str, value: Value, path: Path) -> None:
    try:
        params_with(document, {name: value}, path)
    except BadConfiguration as refused:
        raise BadConfiguration(f"sweep: {refused.message}", where=str(path), hint=refused.hint) from refused
