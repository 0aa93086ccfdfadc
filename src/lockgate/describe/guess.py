"""The description of a table, guessed: each guess with its reason, each doubt in a sentence."""

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lockgate.describe import column_guess, keys, suspects, times
from lockgate.describe.column_guess import ColumnGuess, Marks
from lockgate.describe.keys import Series
from lockgate.describe.layout import Layout
from lockgate.describe.table import TextTable
from lockgate.describe.time_columns import put_together
from lockgate.errors import BadData, WrongUsage
from lockgate.problem.description import Task

MOST_CLASSES = 20  # of texts; more are a name, not a class
FEW_NUMBERS = 5  # whole numbers of a target, at most, that are taken as classes
UNIQUE_SHARE = 0.95
FREE_TEXT_SHARE = 0.5
WORD, TEXTS_OF_WORD = re.compile(r"[^\W_]+"), 5
ID_NAME = re.compile(r"(?i:^(id|index|uuid|guid|no|nr|rownum|unnamed: ?0)$|(^|[_ ])(id|uuid|guid)$)|[a-z](Id|ID)$")
POSITIVE = ("1", "yes", "true", "y", "t", "positive", "churn", "churned", "default", "fraud", "bad", "failed")
YES_OR_NO = {"yes", "no", "true", "false", "y", "n", "t", "f"}  # other spellings of these are refused, not unseen
LISTED = 6  # values of a column that a comment lists
USUAL_HORIZON = {"hour": 168, "day": 28, "week": 8, "month": 6, "integer": 10}
OFF_SHARE = 0.005
SECONDS_OF_DAY = 86_400


@dataclass(frozen=True)
class Wish:
    """What the user says of the table."""

    target: str
    time: str = ""
    keys: tuple[str, ...] = ()
    horizon: int | None = None
    task: str = ""
    parts: tuple[str, ...] = ()  # the columns that the time is put together from
    names: tuple[str, ...] = ()  # of the first columns of a file without a header


@dataclass(frozen=True)
class Line:
    """A key of the description with its value, a comment on the guess, and doubts that a person must settle."""

    key: str
    value: Any
    comment: str = ""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roles:
    """The role of each column, by name; `dropped` with reasons."""

    known: tuple[Line, ...] = ()
    past: tuple[Line, ...] = ()
    checks: tuple[Line, ...] = ()
    row_id: tuple[Line, ...] = ()
    dropped: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Seen:
    """A table with the guessed type of each column, its series if it has a time, and what the user says of it."""

    table: TextTable
    guesses: dict[str, ColumnGuess]
    wish: Wish
    series: Series | None
    equal_rows: int  # rows that are equal to an earlier row in every column
    repeated_rows: int  # those of them that are dropped as copies
    marks: Marks
    time_doubt: str

    @property
    def kind(self) -> str:
        """The kind of forecaster: panel, state or table."""
        if self.series is None:
            return "table"
        return "panel" if self.horizon else "state"

    @property
    def horizon(self) -> int:
        """The wished horizon, or the usual one of the period, at most a fifth of the periods."""
        if self.wish.horizon is not None or self.series is None:
            return self.wish.horizon or 0
        if self.task != "regression" or self.derived:
            return 0
        moments = len(np.unique(self.series.times))
        return max(1, min(USUAL_HORIZON[self.series.period or "integer"], moments // 5))

    @property
    def of_time(self) -> Series:
        """The series of a table with a time. Raises ValueError for a plain table."""
        if self.series is None:
            raise ValueError("a plain table has no series")
        return self.series

    @property
    def derived(self) -> bool:
        """Whether the target is computed from time, since no column has it."""
        return self.wish.target not in self.guesses

    @property
    def target(self) -> ColumnGuess:
        """The column of the target. Raises KeyError if it is derived."""
        return self.guesses[self.wish.target]

    @property
    def task(self) -> Task:
        """The wished task, or the one that the target's values suggest."""
        if self.wish.task:
            return self.wish.task  # type: ignore[return-value]
        return "regression" if self.derived else task_of(self.target, panel=bool(self.wish.horizon))

    @property
    def features(self) -> list[ColumnGuess]:
        """The columns that are neither key nor time nor target."""
        taken = {self.wish.target, self.wish.time, *(self.series.keys if self.series else self.wish.keys)}
        return [guess for name, guess in self.guesses.items() if name not in taken]


def look(table: TextTable, layout: Layout, wish: Wish) -> Seen:
    """Guess the type of each column, then keys and period. Raises WrongUsage or BadData."""
    wish = _with_time(table, layout, _by_place(table, layout, wish))
    _refuse_unknown(table, wish)
    together = put_together(table, wish.time, wish.parts, wish.keys)
    table, wish = together.table, replace(wish, time=together.time, parts=together.parts)
    marks = column_guess.marks_of(table.columns, layout.decimal)
    guesses = {column.name: column_guess.guess(column, marks, column.name == wish.time) for column in table.columns}
    _refuse_no_time(guesses, wish)
    series = _series(table, guesses, wish) if wish.time else None
    equal = table.repeated_rows()
    copies = equal if wish.time or table.has_copies() else 0
    seen = Seen(table, guesses, wish, series, equal, copies, marks, together.doubt)
    if not seen.derived:
        _refuse_target(seen)
    if seen.kind == "state" and not seen.of_time.keys:
        raise WrongUsage(
            "the state of a key is its answer now, but no column names a key",
            hint="name it: --key COLUMN; for rows without a history, leave out --time and --horizon",
        )
    return seen


def task_of(target: ColumnGuess, panel: bool) -> Task:
    """The task that the values of a target suggest."""
    classes = len(target.filled)
    if panel:
        return "regression"
    if classes == 2:
        return "binary"
    if target.type == "category" or (target.type == "integer" and classes <= FEW_NUMBERS):
        return "multiclass"
    return "regression"


def positive_of(target: ColumnGuess) -> str:
    """The class that a binary forecast is about: one named yes, 1, true and so on, else the rarer one."""
    named = [text for text in target.filled if text.lower() in POSITIVE]
    return named[0] if len(named) == 1 else target.filled[-1]


def roles_of(seen: Seen) -> Roles:
    """The role of each column that is neither key nor time nor target."""
    parts = keys.calendar_parts(seen.guesses[seen.wish.time]) if seen.series and seen.kind == "panel" else {}
    leaks = _leaks(seen)
    found: dict[str, list[Line]] = {"known": [], "past": [], "checks": [], "row_id": [], "dropped": []}
    for guess in seen.features:
        role, line = _role(seen, guess, parts, leaks.get(guess.name, ("", "")), bool(found["row_id"]))
        found[role].append(line)
    return Roles(**{role: tuple(lines) for role, lines in found.items()})


def switch_of(seen: Seen, roles: Roles) -> str:
    """The flag whose rows with 0 all have the target 0, as a closed shop; "" if there is none."""
    if seen.kind != "panel" or not seen.target.is_numeric:
        return ""
    goal = seen.target.of_rows
    for line in roles.known:
        guess = seen.guesses[line.key]
        off = guess.of_rows == 0
        if (
            guess.type == "flag"
            and off.mean() > OFF_SHARE
            and (goal[off] == 0).all()
            and (goal[~off] == 0).mean() < 0.5
        ):
            return guess.name
    return ""


def column_entry(guess: ColumnGuess, classes: bool) -> dict[str, Any]:
    """The description of a column. `classes`: it is the target of a classification."""
    entry: dict[str, Any] = {"type": "category" if classes and guess.type in ("integer", "category") else guess.type}
    if entry["type"] == "category" and (classes or {text.strip().lower() for text in guess.filled} <= YES_OR_NO):
        entry["categories"] = sorted(guess.filled)
    if guess.unit:
        entry["unit"] = list(guess.unit)
    if guess.form:
        entry["form"] = guess.form
    if guess.missing_rows and not classes:
        entry["missing"] = "unknown"
    return entry


def summary_of(guess: ColumnGuess) -> str:
    """The values of a column in a few words: its range or its most frequent values, and how many rows have none."""
    filled = guess.filled
    missing = f"; missing: {guess.missing_rows:,}" if guess.missing_rows else ""
    if not filled:
        return "no values"
    if guess.type == "category":
        shown = ", ".join(_shown(text) for text in filled[:LISTED])
        more = f" and {len(filled) - LISTED:,} more" if len(filled) > LISTED else ""
        return f"{shown}{more}{missing}"
    low, high = _ends(guess)
    return f"{_shown(low)} .. {_shown(high)}{missing}"


def _ends(guess: ColumnGuess) -> tuple[str, str]:
    return guess.texts.distinct[int(np.nanargmin(guess.values))], guess.texts.distinct[int(np.nanargmax(guess.values))]


def _shown(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 30 else f"{flat[:30]}..."


def _by_place(table: TextTable, layout: Layout, wish: Wish) -> Wish:
    """Names for numbers of columns, where the file has no header."""
    if layout.header:
        return wish
    places = {str(place): name for place, name in enumerate(table.names, start=1)}
    target, time, *named = (places.get(text, text) for text in (wish.target, wish.time, *wish.keys))
    parts = tuple(places.get(text, text) for text in wish.parts)
    return replace(wish, target=target, time=time, keys=tuple(named), parts=parts)


def _with_time(table: TextTable, layout: Layout, wish: Wish) -> Wish:
    """With a horizon and no time, the only column of dates is the time. Raises WrongUsage unless there is one."""
    if wish.time or wish.parts or wish.horizon is None:
        return wish
    dates = [
        column.name for column in table.columns if column_guess.guess(column, Marks(layout.decimal)).type == "date"
    ]
    if len(dates) != 1:
        fact = f"several columns have dates: {', '.join(dates)}" if dates else "no column has dates"
        raise WrongUsage(
            f"--horizon needs a time, but {fact}",
            hint="name its column: --time COLUMN; of a time in two columns: --time YEAR --time MONTH",
        )
    return replace(wish, time=dates[0])


def _refuse_unknown(table: TextTable, wish: Wish) -> None:
    may_be_derived = wish.time and wish.keys and wish.horizon == 0
    wanted = {
        "--time": (wish.time, *wish.parts),
        "--key": wish.keys,
        "--target": () if may_be_derived else (wish.target,),
    }
    named = [name for name in (wish.target, wish.time, *wish.parts, *wish.keys) if name]
    if twice := next((name for name in named if named.count(name) > 1), ""):
        raise WrongUsage(f"{twice} is named twice", hint="give --target, --time and --key different columns")
    for option, name in ((option, name) for option, names in wanted.items() for name in names if name):
        if name not in table.names:
            near = difflib.get_close_matches(name, table.names, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"columns: {', '.join(table.names[:30])}"
            raise WrongUsage(f"{option} {name}: no column has this name", hint=hint)


def _refuse_no_time(guesses: dict[str, ColumnGuess], wish: Wish) -> None:
    if wish.time and (without := guesses[wish.time].missing_rows):
        raise BadData(f"{without:,} rows have no {wish.time}", hint="remove these rows, or name another --time")
    if wish.time and guesses[wish.time].type not in ("date", "integer"):
        example = next(iter(guesses[wish.time].filled), "")
        raise WrongUsage(
            f"--time {wish.time}: {example!r} is neither a date nor a whole number",
            hint="write dates like 2015-07-31, or number the periods",
        )


def _refuse_target(seen: Seen) -> None:
    """Raise BadData for a target of one value, WrongUsage for one that does not fit the task."""
    name, target, classes = seen.wish.target, seen.target, len(seen.target.filled)
    if classes < 2:
        raise BadData(f"the target {name} has {('no value', 'a single value')[classes]}", hint="name another column")
    if seen.task == "regression" and not target.is_numeric:
        example = f"such as {target.filled[0]!r}"
        needs = "--horizon above 0 needs" if seen.horizon else "--task regression needs"
        raise WrongUsage(f"{needs} a target of numbers, but {name} has values {example}", hint="name another column")
    if seen.task == "binary" and classes != 2:
        raise WrongUsage(f"--task binary: {name} has {classes:,} different values", hint="use --task multiclass")
    if seen.task != "regression" and (classes > MOST_CLASSES or target.type == "date"):
        raise WrongUsage(
            f"{name} has {classes:,} different values, too many for classes",
            hint=f"at most {MOST_CLASSES}; or use numbers",
        )


def _series(table: TextTable, guesses: dict[str, ColumnGuess], wish: Wish) -> Series:
    time = guesses[wish.time]
    if wish.keys:
        return keys.series_of(table, time, wish.keys)
    candidates = keys.key_candidates(list(guesses.values()), frozenset({wish.target, wish.time}))
    distinct = table.distinct_rows()
    found = keys.keys_of(distinct, distinct.by_name[wish.time], candidates)
    if found is None and _has_hours(time):
        rest = table.take(np.flatnonzero(~times.clocks_go_back(time.of_rows))).distinct_rows()
        found = keys.keys_of(rest, rest.by_name[wish.time], candidates)
    return keys.series_of(table, time, found or ())


def _has_hours(time: ColumnGuess) -> bool:
    return time.type == "date" and bool((time.values % SECONDS_OF_DAY > 0).any())


def _leaks(seen: Seen) -> dict[str, tuple[str, str]]:
    """Why a column is a leak suspect, and the doubt, which suspects of one sum share; the rows of a state have none."""
    if seen.derived or seen.kind == "state":
        return {}
    columns = {guess.name: guess.of_rows for guess in seen.features if not _is_identifier(guess)}
    target = (
        seen.target.values
        if seen.task == "regression"
        else np.where(np.isnan(seen.target.values), np.nan, np.arange(len(seen.target.values)))
    )
    found = suspects.suspects_of(columns, target[seen.target.texts.codes], seen.task != "regression")
    if seen.kind == "panel":  # numbers are past covariates, and never stand beside their own target
        found = [each for each in found if each.is_part or not seen.guesses[each.column].is_amount]
    alike = {each.why: [other.column for other in found if other.why == each.why] for each in found}
    return {each.column: (each.why, _leak_doubt(alike[each.why], each.why, seen.wish.target)) for each in found}


def _leak_doubt(names: list[str], why: str, target: str) -> str:
    back = f"if {'it is' if len(names) == 1 else 'they are'} known before {target}, remove from drop"
    return f"{' and '.join(names)} {why}: dropped as a leak; {back}"


def _role(
    seen: Seen, guess: ColumnGuess, parts: dict[str, Any], leak: tuple[str, str], has_id: bool
) -> tuple[str, Line]:
    name = guess.name
    if why := next(_reasons_to_drop(seen, guess, leak), None):
        comment, doubts = why
        return "dropped", Line(name, name, comment, (*guess.doubts, *doubts))
    if _is_identifier(guess) and seen.kind != "state":
        if has_id:
            return "dropped", Line(name, name, "another value in each row: names the row", guess.doubts)
        return "row_id", Line(name, name, "another value in each row: not learned, passed on with each forecast")
    if part := keys.repeats_calendar(guess, parts):
        if part == "weekday" and guess.type == "integer" and (guess.of_rows == parts["weekday"]).all():
            return "checks", Line(
                name, "weekday", "the weekday of the time; checked, and the calendar's features have it"
            )
        return "dropped", Line(name, name, f"repeats the {part} of {seen.wish.time}: the calendar's features have it")
    if seen.kind == "panel":
        return _role_in_panel(seen, guess)
    words = "free text: its frequent words are learned" if _is_free_text(guess) else ""
    return ("past" if seen.kind == "state" else "known"), Line(name, name, words)


def _reasons_to_drop(seen: Seen, guess: ColumnGuess, leak: tuple[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    filled = guess.filled
    if len(filled) < 2 and not (guess.missing_rows and filled):
        yield f"the same value in every row: {_shown(filled[0])}" if filled else "no values", ()
    why, doubt = leak
    if why:
        yield f"leak suspect: {why}", (doubt,)
    if _is_free_text(guess) and not (seen.kind == "table" and _shares_words(filled)):
        yield f"free text: {len(filled):,} different texts", ()


def _is_free_text(guess: ColumnGuess) -> bool:
    most = max(FREE_TEXT_SHARE * len(guess.texts.codes), MOST_CLASSES)
    return guess.type == "category" and not _is_identifier(guess) and len(guess.filled) > most


def _shares_words(texts: list[str]) -> bool:
    """Whether most texts have two words or more that other texts have, too: the features of a table are such words."""
    split = [set(WORD.findall(text.lower())) for text in texts]
    counts = Counter(word for words in split for word in words)
    shared = sum(sum(counts[word] >= TEXTS_OF_WORD for word in words) > 1 for words in split)
    return shared > FREE_TEXT_SHARE * len(texts)


def _role_in_panel(seen: Seen, guess: ColumnGuess) -> tuple[str, Line]:
    name, rows, series = guess.name, guess.of_rows, seen.of_time
    if not keys.varies_within(series.codes, rows):
        return "known", Line(name, name, "one value for each key" if series.keys else "")
    if guess.type in ("number", "integer") and not (guess.type == "integer" and len(guess.filled) <= FEW_NUMBERS):
        return "past", Line(name, name)
    return "known", Line(name, name)


def _is_identifier(guess: ColumnGuess) -> bool:
    """Whether a column numbers or names the rows."""
    rows, distinct = len(guess.texts.codes), len(guess.texts.distinct)
    if distinct < UNIQUE_SHARE * rows or rows < 20 or guess.type not in ("integer", "category"):
        return False
    if guess.type == "integer":
        span = float(np.nanmax(guess.values) - np.nanmin(guess.values))
        return distinct == rows and (span == rows - 1 or bool(ID_NAME.search(guess.name)))
    one_word = all(len(text.split()) == 1 for text in guess.texts.distinct[:200] if text)
    return distinct == rows and (bool(ID_NAME.search(guess.name)) or one_word)


def name_of(path: Path) -> str:
    """A problem's name from a file's name: lower case letters, digits and underscores, at most 40."""
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    slug = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return (slug if slug[:1].isalpha() else f"table_{slug}")[:40].strip("_")
