"""The features that a description declares for a panel state; without any, all of them."""

import difflib
from dataclasses import dataclass, replace
from typing import Any

from lockgate.errors import BadConfiguration
from lockgate.problem.description import Problem

RECIPE = "panel_state"
STATISTICS = ("mean", "std", "slope")
SWITCHES = ("last", "expanding", "change", "age", "index")
KNOWN = (RECIPE, "rolling", "ewm", *SWITCHES, "conditions")
MOST_ROWS = 10_000  # of a window, or of a half-life


@dataclass(frozen=True)
class Declaration:
    """The features of a recipe. Windows and half-lives are numbers of rows of the key."""

    rolling: tuple[int, ...] = ()  # statistics over the last rows, the row itself included
    statistics: tuple[str, ...] = STATISTICS
    ewm: tuple[int, ...] = ()  # exponentially weighted means with these half-lives
    last: bool = False  # the last known value
    expanding: bool = False  # the mean of all rows so far
    change: bool = False  # the mean of the newest rows minus that of the first rows
    age: bool = False  # periods since the first row of the key
    index: bool = False  # the linear combination of the columns that follows the target, as one more column
    conditions: tuple[str, ...] | None = ()  # columns of the operating condition; None: found in the data


USUAL = Declaration((5, 10, 20, 30, 50), STATISTICS, (10,), True, True, True, True, True, None)


def declaration(problem: Problem) -> Declaration:
    """The declared features; raises BadConfiguration for an unknown name, column or setting."""
    given = [_pair(entry) for entry in problem.features]
    if not any(name in (*SWITCHES, "rolling", "ewm") for name, _ in given):
        found = USUAL
    else:
        found = Declaration(conditions=None)
    for name, setting in given:
        found = replace(found, **_setting(problem, name, setting))
    return found


def _pair(entry: str | dict[str, Any]) -> tuple[str, Any]:
    name, setting = (entry, None) if isinstance(entry, str) else next(iter(entry.items()), ("", None))
    if name not in KNOWN:
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.6)
        raise _refused(f"names {name}", f"did you mean {near[0]}?" if near else f"known features: {', '.join(KNOWN)}")
    return name, setting


def _setting(problem: Problem, name: str, setting: Any) -> dict[str, Any]:
    if name == "conditions":
        return {name: _columns(problem, setting)}
    if setting is None or setting is True:
        return {} if name == RECIPE else {name: getattr(USUAL, name)}
    if name == "rolling" and isinstance(setting, dict):
        return _rolling(setting)
    if name in ("rolling", "ewm"):
        return {name: _numbers(name, setting)}
    raise _refused(f"has a setting for {name}", f"write: {name}")


def _rolling(setting: dict[str, Any]) -> dict[str, Any]:
    if unknown := set(setting) - {"windows", "statistics"}:
        raise _refused(f"rolling has {min(unknown)}", "rolling takes windows and statistics")
    statistics = setting.get("statistics", STATISTICS)
    statistics = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    for name in statistics:
        if name not in STATISTICS:
            raise _refused(f"rolling.statistics names {name}", f"known: {', '.join(STATISTICS)}")
    return {"rolling": _numbers("rolling", setting.get("windows", USUAL.rolling)), "statistics": statistics}


def _numbers(name: str, given: Any) -> tuple[int, ...]:
    numbers = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not numbers or not all(type(number) is int and 0 < number <= MOST_ROWS for number in numbers):
        raise _refused(f"{name} is {given}", f"numbers of rows from 1 to {MOST_ROWS}, such as {name}: [5, 10, 30]")
    return tuple(sorted(set(numbers)))


def _columns(problem: Problem, given: Any) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given or ())
    known = (*problem.known_covariates, *problem.past_covariates)
    for name in names:
        if name not in known:
            raise _refused(f"conditions names {name}", f"covariates: {', '.join(known)}; [] for a single condition")
    return names


def _refused(fact: str, hint: str) -> BadConfiguration:
    return BadConfiguration(f"problem.features {fact}", where="params.yaml", hint=hint)
