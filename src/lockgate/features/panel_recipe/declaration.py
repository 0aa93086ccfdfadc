"""The features that a description declares; without any, those of the period."""

import difflib
from dataclasses import dataclass, fields, replace
from typing import Any

from lockgate.errors import BadConfiguration
from lockgate.features.panel_recipe import holidays
from lockgate.features.panel_recipe.holidays import HolidayRule
from lockgate.features.panel_recipe.period_calendar import CALENDARS
from lockgate.problem.description import Problem
from lockgate.problem.periods import PeriodName

RECIPE = "panel"
STATISTICS = ("mean", "std", "min", "max")
PERIODIC: dict[PeriodName, dict[str, tuple[int, ...]]] = {
    "hour": {"lags": (1, 2, 3, 24, 168), "rolling": (6, 24, 168), "seasonal": (24, 168)},
    "day": {"lags": (1, 2, 7, 14), "rolling": (7, 28, 91), "seasonal": (7, 364)},
    "week": {"lags": (1, 2, 4), "rolling": (4, 12, 26), "seasonal": (52,)},
    "month": {"lags": (1, 3, 6), "rolling": (3, 6, 12), "seasonal": (12,)},
    "integer": {"lags": (1, 2, 3), "rolling": (3, 10), "seasonal": ()},
}


@dataclass(frozen=True)
class Declaration:
    """The features of a recipe. A tuple holds periods, or names of columns of the calendar."""

    calendar: tuple[str, ...] = ()
    lags: tuple[int, ...] = ()  # the newest known value that is at least this old
    rolling: tuple[int, ...] = ()  # statistics over this many periods up to the cutoff
    statistics: tuple[str, ...] = STATISTICS
    expanding: bool = False  # statistics over all periods up to the cutoff
    seasonal: tuple[int, ...] = ()  # the value whole seasons ago
    groups: bool = False  # statistics by key, part of the season and the first flag
    since: bool = False  # periods since the last event of each flag
    trend: bool = False  # periods since the first row of the key
    key: bool = False  # the place of the key, as a number
    covariates: bool = False
    static: bool = False
    holidays: HolidayRule | None = None  # public holidays of the row's period, and the distances to them

    @property
    def memory(self) -> int:
        """The periods up to the cutoff that the features look back to."""
        return max((1, *self.lags, *self.rolling, *(2 * season for season in self.seasonal)))


def declaration(problem: Problem) -> Declaration:
    """The declared features; raises BadConfiguration for an unknown name or setting."""
    given = [_pair(entry) for entry in problem.features]
    named = [(name, setting) for name, setting in given if name != RECIPE]
    usual = _usual(problem)
    if not named:
        return usual
    found = Declaration()
    for name, setting in named:
        _check(name)
        if name == "holidays" and problem.period.is_integer:
            raise BadConfiguration(
                "problem.features names holidays, and time is a running number", where="params.yaml", hint="remove it"
            )
        found = replace(found, **_setting(name, setting, usual))
    return found


def _usual(problem: Problem) -> Declaration:
    name = problem.period.name
    flags = {field.name: True for field in fields(Declaration) if field.type in (bool, "bool")}
    return Declaration(calendar=tuple(CALENDARS[name]), **PERIODIC[name], **flags)  # type: ignore[arg-type]


def _pair(entry: str | dict[str, Any]) -> tuple[str, Any]:
    if isinstance(entry, str):
        return entry, None
    (pair,) = entry.items() if len(entry) == 1 else [(", ".join(entry), None)]
    return pair


def _check(name: str) -> None:
    known = [field.name for field in fields(Declaration) if field.name != "statistics"]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        raise BadConfiguration(
            f"problem.features names {name}",
            where="params.yaml",
            hint=f"did you mean {near[0]}?" if near else f"known features: {', '.join(known)}",
        )


def _setting(name: str, setting: Any, usual: Declaration) -> dict[str, Any]:
    if name != "holidays" and (setting is None or setting is True):
        return {name: getattr(usual, name)}
    if name == "rolling" and isinstance(setting, dict):
        windows, statistics = setting.get("windows", usual.rolling), tuple(setting.get("statistics", STATISTICS))
        return {"rolling": _numbers(name, windows), "statistics": _among(name, statistics, STATISTICS)}
    if name == "calendar":
        every = tuple(column for columns in CALENDARS.values() for column in columns)
        return {name: _among(name, tuple(setting), every)}
    if name == "holidays":
        return {name: holidays.rule(setting)}
    if name in ("lags", "rolling", "seasonal"):
        return {name: _numbers(name, setting)}
    raise BadConfiguration(f"problem.features.{name} takes no settings", where="params.yaml", hint=f"write: {name}")


def _numbers(name: str, given: Any) -> tuple[int, ...]:
    numbers = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not numbers or not all(isinstance(number, int) and 0 < number < 100_000 for number in numbers):
        raise BadConfiguration(
            f"problem.features.{name} is {given}", where="params.yaml", hint=f"periods, such as {name}: [1, 3, 6]"
        )
    return numbers


def _among(name: str, given: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    for each in given:
        if each not in known:
            hint = f"known: {', '.join(dict.fromkeys(known))}"
            raise BadConfiguration(f"problem.features.{name} names {each}", where="params.yaml", hint=hint)
    return given
