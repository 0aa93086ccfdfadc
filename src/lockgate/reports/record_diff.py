"""Differences between the records of two versions: params, metrics, importances, lineage. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

Texts = Mapping[str, str]
Scores = Mapping[tuple[str, str], float]  # by (group, name)
Shares = Mapping[tuple[str, str], float]  # by (member, feature)


@dataclass(frozen=True)
class DifferentValue:
    """A named value that is not the same in both; None where one of them does not have it."""

    name: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class RecordDiff:
    """Named values of both: those that differ, by name, and how many are equal."""

    differ: tuple[DifferentValue, ...]
    equal: int


@dataclass(frozen=True)
class MetricPair:
    """A metric of both; None where it was not measured."""

    group: str
    name: str
    first: float | None
    second: float | None


@dataclass(frozen=True)
class ImportanceChange:
    """The share of a member's gain that a feature brings, in both; 0 where the member does not have it."""

    member: str
    feature: str
    first: float
    second: float

    @property
    def change(self) -> float:
        """How much more the second leans on the feature."""
        return self.second - self.first


def diff(first: Texts, second: Texts) -> RecordDiff:
    """Which of the named values differ."""
    names = sorted(first.keys() | second.keys())
    differ = [
        DifferentValue(name, first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)
    ]
    return RecordDiff(tuple(differ), len(names) - len(differ))


def metric_pairs(first: Scores, second: Scores) -> tuple[MetricPair, ...]:
    """The metrics of both, in the order in which they are given, those of the first before what the second adds."""
    keys = dict.fromkeys(chain(first, second))
    return tuple(MetricPair(*key, first.get(key), second.get(key)) for key in keys)


def importance_changes(first: Shares, second: Shares) -> tuple[ImportanceChange, ...]:
    """The importances of both, the largest change first."""
    found = [ImportanceChange(*key, first.get(key, 0.0), second.get(key, 0.0)) for key in first.keys() | second.keys()]
    return tuple(sorted(found, key=lambda shift: (-abs(shift.change), shift.member, shift.feature)))
