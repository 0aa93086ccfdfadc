"""What is doubtful about data, before any training: a list of checks, each giving remarks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from lockgate.describe import suspects
from lockgate.describe.drift import LARGE, NOTED, by_chance, numbers_of, stability_index
from lockgate.describe.suspects import Single
from lockgate.problem.columns import Role
from lockgate.problem.description import Problem

Level = Literal["doubt", "note"]
LEAST_ROWS, LEAST_HELD, LEAST_KEYS, LEAST_POSITIVE, LEAST_CLASS = 200, 50, 10, 30, 20
MANY_MISSING, MORE_MISSING = 0.3, 0.1
SHARED_ROWS = 0.01
UNSEEN_ROWS = 0.01
FREE_TEXT_SHARE = 0.5  # different texts for each row, above which a text is no category
LEAVE_OUT = "to leave such rows out: range and drop_rows: true, under problem.columns"
FAR = 10.0  # a target that is this many times the 99.9 % quantile away from the median


@dataclass(frozen=True)
class Checked:
    """Data to be checked: the problem, rows to train on, the holdout, and what was found before any check."""

    problem: Problem
    rows: pd.DataFrame
    holdout: pd.DataFrame

    @property
    def features(self) -> list[str]:
        """The columns that are learned from, of the table of rows."""
        return [
            column.name
            for column in self.problem.of_role(Role.KNOWN_COVARIATES, Role.PAST_COVARIATES)
            if column.name in self.rows
        ]

    @property
    def target(self) -> str:
        """The name of the target."""
        return self.problem.target

    @property
    def learned(self) -> "Checked":
        """The same without rows that are neither learned nor scored."""
        where = self.problem.where
        if where is None:
            return self
        rows, holdout = (part[part[where.column] == where.equals] for part in (self.rows, self.holdout))
        return Checked(self.problem, rows, holdout)

    @property
    def both(self) -> pd.DataFrame:
        """All rows."""
        return pd.concat([self.rows, self.holdout], ignore_index=True)


@dataclass(frozen=True)
class Remark:
    """A finding: what is doubtful, about which column ("" for the table), and what can be done."""

    level: Level
    column: str
    what: str
    hint: str = ""


@dataclass(frozen=True)
class Measures:
    """The measurements of each column that the picture shows: missing share, drift, and prediction by itself."""

    missing: dict[str, float]
    drift: dict[str, float]
    drift_limit: float  # above it, drift is a doubt
    singles: tuple[Single, ...]


Check = Callable[[Checked, Measures], Iterator[Remark]]


def remarks_on(checked: Checked, measures: Measures) -> list[Remark]:
    """Every remark, the doubts first."""
    found = [remark for check in OF_ALL_ROWS for remark in check(checked, measures)]
    found += [remark for check in OF_LEARNED_ROWS for remark in check(checked.learned, measures)]
    return sorted(found, key=lambda remark: remark.level)


def measures_of(checked: Checked) -> Measures:
    """The measurements of the target and of each column that is learned from."""
    checked = checked.learned
    every = checked.both
    missing = {name: float(every[name].isna().mean()) for name in [*checked.features, checked.target]}
    drift = {
        name: stability_index(checked.rows[name], checked.holdout[name]) for name in [*checked.features, checked.target]
    }
    numbers = {name: numbers_of(every[name]) for name in checked.features}
    classes = checked.problem.task != "regression"
    limit = LARGE + by_chance(len(checked.rows), len(checked.holdout))
    return Measures(
        missing, drift, limit, tuple(suspects.singles_of(numbers, numbers_of(every[checked.target]), classes))
    )


def _size(checked: Checked, _: Measures) -> Iterator[Remark]:
    problem, rows, holdout = checked.problem, checked.rows, checked.holdout
    if len(rows) < LEAST_ROWS:
        yield Remark(
            "doubt", "", f"{len(rows)} rows to train on; fewer than {LEAST_ROWS} teach little", "collect more rows"
        )
    if len(holdout) < LEAST_HELD:
        hint = "the gate may be inconclusive; hold out more: problem.split"
        yield Remark("doubt", "", f"{len(holdout)} rows in the holdout; fewer than {LEAST_HELD} decide little", hint)
    if problem.keys:
        keys, held = (part.groupby(list(problem.keys)).ngroups for part in (rows, holdout))
        yield Remark("note", "", f"{keys:,} keys to train on, {held:,} in the holdout")
        if problem.kind == "state" and min(keys, held) < LEAST_KEYS:
            yield Remark(
                "doubt", "", f"only {min(keys, held)} keys in a part: at least {LEAST_KEYS} are needed to generalise"
            )


def _classes(checked: Checked, _: Measures) -> Iterator[Remark]:
    if checked.problem.task == "regression":
        return
    for part, rows in (("rows to train on", checked.rows), ("holdout", checked.holdout)):
        counts = rows[checked.target].astype(str).value_counts()
        rare = {name: int(count) for name, count in counts.items() if count < LEAST_CLASS}
        if rare:
            shown = ", ".join(f"{name}: {count}" for name, count in rare.items())
            yield Remark(
                "doubt",
                checked.target,
                f"classes with few rows ({part}): {shown}",
                "join rare classes, or collect more rows",
            )
        if (
            checked.problem.task == "binary"
            and (found := int(counts.get(checked.problem.positive, 0))) < LEAST_POSITIVE
        ):
            yield Remark(
                "doubt", checked.target, f"{found} positive rows ({part}); fewer than {LEAST_POSITIVE} decide little"
            )


def _missing(checked: Checked, measures: Measures) -> Iterator[Remark]:
    for name, share in measures.missing.items():
        parts = checked.rows[name].isna().mean(), checked.holdout[name].isna().mean()
        if abs(parts[0] - parts[1]) > MORE_MISSING:
            yield Remark(
                "doubt",
                name,
                f"missing in {parts[0]:.1%} of the rows to train on, but in {parts[1]:.1%} of the holdout",
            )
        elif share:
            yield Remark("doubt" if share > MANY_MISSING else "note", name, f"missing in {share:.1%} of the rows")


def _duplicates(checked: Checked, _: Measures) -> Iterator[Remark]:
    if checked.problem.kind != "table":
        return
    every = checked.both
    if repeated := int(every.duplicated().sum()):
        hint = "remove rows that stand for the same thing; duplicates: drop in problem.sources drops equal lines"
        yield Remark("doubt", "", f"{repeated:,} rows repeat an earlier row in every column that is read", hint)
    if shared := _shared(checked.rows, checked.holdout):
        yield Remark(
            "doubt", "", f"{shared:,} rows of the holdout are also among the rows to train on: the score flatters"
        )
    same = every.duplicated(checked.features, keep=False) & ~every.duplicated(
        [*checked.features, checked.target], keep=False
    )
    if same.mean() > SHARED_ROWS:
        what = f"{int(same.sum()):,} rows are equal to another row but for the target: no model can tell them apart"
        yield Remark("note", "", what)


def _shared(rows: pd.DataFrame, holdout: pd.DataFrame) -> int:
    """How many rows of the holdout are equal to a row to train on."""
    columns = list(holdout.columns)
    known = set(pd.util.hash_pandas_object(rows[columns], index=False))
    return int(pd.util.hash_pandas_object(holdout[columns], index=False).isin(known).sum())


def _gaps(checked: Checked, _: Measures) -> Iterator[Remark]:
    problem = checked.problem
    if problem.time is None or problem.kind == "table":
        return
    every = checked.both.assign(period=lambda frame: problem.period.number(frame[problem.time_name].to_numpy()))
    keys = list(problem.keys) or pd.Series(0, index=every.index)
    spans = every.groupby(keys)["period"].agg(["min", "max", "nunique"])
    holes = spans["max"] - spans["min"] + 1 - spans["nunique"]
    if (found := int((holes > 0).sum())) and problem.kind == "panel":
        what = f"{found:,} of {len(spans):,} keys have gaps, {int(holes.sum()):,} periods in all"
        yield Remark("note", problem.time_name, what)
    if problem.kind == "panel":
        yield from _ends(checked, spans, int(every["period"].max()))


def _ends(checked: Checked, spans: pd.DataFrame, last: int) -> Iterator[Remark]:
    problem = checked.problem
    cutoff = last - (problem.holdout.last or 0)
    if new := int((spans["min"] > cutoff).sum()):
        yield Remark(
            "note", problem.time_name, f"{new:,} keys begin in the holdout: they are forecast without any history"
        )
    if ended := int((spans["max"] <= cutoff).sum()):
        yield Remark("note", problem.time_name, f"{ended:,} keys end before the holdout")
    history = cutoff - int(spans["min"].min()) + 1
    season = max(problem.period.seasons, default=0)
    if history < 2 * season:
        what = f"{problem.period.plural(history)} to train on: fewer than two seasons of {season}"
        yield Remark("doubt", problem.time_name, what, "seasonal effects cannot be told from a trend")


def _target(checked: Checked, measures: Measures) -> Iterator[Remark]:
    if checked.problem.task != "regression":
        return
    values = numbers_of(checked.both[checked.target])
    values = values[np.isfinite(values)]
    zeros, below = float((values == 0).mean()), float((values < 0).mean())
    if zeros > 0.05 or below:
        what = f"{zeros:.1%} of the rows are 0, {below:.1%} are below 0"
        yield Remark("note", checked.target, what, "" if checked.problem.kind == "panel" else LEAVE_OUT)
    middle, high = float(np.median(values)), float(np.quantile(values, 0.999))
    far = int((np.abs(values - middle) > FAR * max(abs(high - middle), 1e-12)).sum())
    if far:
        what = f"{far} values are more than {FAR:g} times as far from the median as 99.9 % of the rows"
        yield Remark("doubt", checked.target, what, f"typing errors, or another unit? {LEAVE_OUT}")


def _drift(checked: Checked, measures: Measures) -> Iterator[Remark]:
    for name, index in measures.drift.items():
        if index > measures.drift_limit - LARGE + NOTED:
            what = f"another distribution in the holdout than in the rows to train on (stability index {index:.2f})"
            yield Remark("doubt" if index > measures.drift_limit else "note", name, what)


def _leaks(checked: Checked, measures: Measures) -> Iterator[Remark]:
    every = checked.both
    classes = checked.problem.task != "regression"
    numbers = {name: numbers_of(every[name]) for name in checked.features}
    for found in suspects.suspects_of(numbers, numbers_of(every[checked.target]), classes):
        hint = f"is it known before {checked.target}? If not, move it to problem.drop"
        yield Remark("doubt", found.column, f"leak suspect: {found.why}", hint)


def _constant(checked: Checked, _: Measures) -> Iterator[Remark]:
    switch = checked.problem.where.column if checked.problem.where else ""  # constant, since other rows are not learned
    names = [name for name in checked.features if name != switch and checked.rows[name].nunique(dropna=False) < 2]
    if len(names) > 1:
        what = f"{len(names)} columns have the same value in every row to train on: {', '.join(names)}"
        yield Remark("doubt", "", what, "move them to problem.drop")
    elif names:
        yield Remark("doubt", names[0], "the same value in every row to train on", "move it to problem.drop")


def _unseen(checked: Checked, _: Measures) -> Iterator[Remark]:
    texts = [name for name in checked.features if checked.rows[name].dtype.kind not in "biufM"]
    for name in texts:
        if checked.rows[name].nunique() > FREE_TEXT_SHARE * len(checked.rows):
            continue  # its words are learned
        new = checked.holdout[name][~checked.holdout[name].isin(checked.rows[name]) & checked.holdout[name].notna()]
        if len(new):
            shown = ", ".join(str(text)[:30] for text in new.unique()[:3])
            what = f"{new.nunique():,} categories only in the holdout ({len(new):,} rows): {shown}"
            yield Remark("doubt" if len(new) > UNSEEN_ROWS * len(checked.holdout) else "note", name, what)


OF_ALL_ROWS: tuple[Check, ...] = (_size, _duplicates, _gaps)
OF_LEARNED_ROWS: tuple[Check, ...] = (_classes, _leaks, _constant, _missing, _unseen, _target, _drift)
