"""The type of a column, guessed from its texts: number, unit, flag, category, date; and which texts mean missing."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lockgate.data.column_types import ungrouped
from lockgate.describe import times
from lockgate.describe.table import Texts
from lockgate.problem.description import EXACT

Type = Literal["integer", "number", "flag", "category", "date"]

ALWAYS_MISSING = frozenset({"NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "<NA>"})
MISSING_AMONG_NUMBERS = ALWAYS_MISSING | {
    "?",
    "-",
    "--",
    ".",
    "None",
    "none",
    "n/a",
    "na",
    "unknown",
    "Unknown",
    "missing",
}
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
LEADING_ZERO = re.compile(r"-?0[0-9]+")
PATTERNS = {
    ".": (re.compile(r"-?[0-9]+(\.0+)?"), re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")),
    ",": (re.compile(r"-?[0-9]+(,0+)?"), re.compile(r"-?[0-9]+(,[0-9]+)?([eE][+-]?[0-9]+)?")),
}
CURRENCY = r"[$€£¥₹₽₩]|US\$|Rs\.?|[A-Z]{3}(?=\s?[0-9])"
MEASURE = re.compile(
    rf"(?P<before>{CURRENCY})?\s*(?P<number>-?[0-9](?:[0-9.,' ]*[0-9])?(?:[eE][+-]?[0-9]+)?)"
    r"\s*(?P<after>[^\d\s.,;:/-][^\d]*[23]?)?"  # also m2, cm3
)
THOUSANDS_MARKS = (",", "'", " ", ".")
MOST_UNITS = 4
ODD_SHARE = 0.02  # of the rows, at most: texts that do not fit a type that all others fit
LARGEST_INTEGER = 2**62


@dataclass(frozen=True)
class Marks:
    """How the numbers of a file are written."""

    decimal: str = "."
    thousands: str = ""


@dataclass(frozen=True)
class ColumnGuess:
    """The guessed type of a column. `values` has a number for each distinct text: a code, or seconds of a date.

    `missing` are texts that mean a missing value, beside the empty one; NaN in `values` is missing.
    """

    texts: Texts
    type: Type
    values: NDArray[np.float64]
    unit: tuple[str, ...] = ()
    form: str = ""
    missing: frozenset[str] = frozenset()
    doubts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The column's name."""
        return self.texts.name

    @property
    def of_rows(self) -> NDArray[np.float64]:
        """The number of each row; NaN where it is missing."""
        return self.values[self.texts.codes]

    @property
    def missing_rows(self) -> int:
        """How many rows have no value."""
        return int(self.texts.counts[np.isnan(self.values)].sum())

    @property
    def filled(self) -> list[str]:
        """The distinct texts that are values, the most frequent first."""
        places = np.flatnonzero(~np.isnan(self.values))
        order = places[np.argsort(-self.texts.counts[places], kind="stable")]
        return [self.texts.distinct[place] for place in order]

    @property
    def is_amount(self) -> bool:
        """Whether the values are numbers that are no flag."""
        return self.type in ("integer", "number")

    @property
    def is_numeric(self) -> bool:
        """Whether the values are amounts, and not codes or times."""
        return self.type in ("integer", "number", "flag")


def marks_of(columns: Sequence[Texts], decimal: str) -> Marks:
    """The marks of a file: the thousands mark is one with which a whole column is numbers, and some are grouped."""
    for mark in THOUSANDS_MARKS:
        if mark != decimal and any(_is_grouped(texts, Marks(decimal, mark)) for texts in columns):
            return Marks(decimal, mark)
    return Marks(decimal)


def _is_grouped(texts: Texts, marks: Marks) -> bool:
    if not any(marks.thousands in text.strip() for text in texts.distinct):
        return False
    bare = [_bare(text, marks)[0] for text in texts.distinct]
    grouped = any(ungrouped(text, marks.thousands) != text for text in _numbers_in(texts.distinct))
    odd = frozenset(text for text, number in zip(texts.distinct, bare, strict=True) if not number and text.strip())
    return grouped and _few(texts, odd - ALWAYS_MISSING, frozenset(texts.distinct) & ALWAYS_MISSING)


def _numbers_in(distinct: Sequence[str]) -> Iterator[str]:
    return (match["number"] for text in distinct if (match := MEASURE.fullmatch(text.strip())))


def _bare(text: str, marks: Marks) -> tuple[str, str]:
    """The number of a text without thousands marks, and its unit; the number is "" where the text is none."""
    match = MEASURE.fullmatch(text.strip())
    if not match or (match["before"] and match["after"]):
        return "", ""
    number = ungrouped(match["number"], marks.thousands)
    unit = (match["before"] or match["after"] or "").strip()
    return (number, unit) if PATTERNS[marks.decimal][1].fullmatch(number) else ("", unit)


def guess(texts: Texts, marks: Marks, is_time: bool = False) -> ColumnGuess:
    """The type of a column. `is_time`: the user named it as the time, so dates are looked for first."""
    blank = frozenset(text for text in texts.distinct if not text.strip())
    always = frozenset(texts.distinct) & ALWAYS_MISSING | blank
    filled = [text for text in texts.distinct if text not in always]
    if not filled:
        return _of_type(texts, "category", always)
    for attempt in (_date, _number, _measure) if is_time else (_number, _date, _measure):
        if found := attempt(texts, always, marks, is_time):
            return found
    return _of_type(texts, "category", always)


def _number(texts: Texts, always: frozenset[str], marks: Marks, _: bool) -> ColumnGuess | None:
    whole, number = PATTERNS[marks.decimal]
    plain = {text: ungrouped(text.strip(), marks.thousands) for text in texts.distinct}
    odd = frozenset(text for text in texts.distinct if text not in always and not number.fullmatch(plain[text]))
    if not _few(texts, odd, always):
        return None
    missing = always | odd
    filled = [plain[text] for text in texts.distinct if text not in missing]
    if any(map(LEADING_ZERO.fullmatch, filled)):
        example = next(filter(LEADING_ZERO.fullmatch, filled))
        doubt = f"{texts.name} has numbers with leading zeros, such as {example}: taken as a code"
        return replace(_of_type(texts, "category", missing), doubts=(doubt,))
    values = np.array([np.nan if text in missing else _amount(plain[text], marks) for text in texts.distinct])
    largest = np.nanmax(np.abs(values))
    if not _are_whole(filled, whole, marks.decimal, gaps=bool(texts.rows_with(missing))) or largest > LARGEST_INTEGER:
        kind: Type = "number"
    elif largest >= EXACT:
        example = max(filled, key=len)
        doubt = f"{texts.name} has whole numbers above {EXACT}, such as {example}: taken as a code"
        return replace(_of_type(texts, "category", missing), doubts=(doubt,))
    else:
        kind = "flag" if set(np.unique(values[~np.isnan(values)])) == {0.0, 1.0} else "integer"
    return ColumnGuess(texts, kind, values, missing=_named(missing), doubts=_odd_doubt(texts, odd, "a number"))


def _are_whole(filled: list[str], whole: re.Pattern[str], decimal: str, gaps: bool) -> bool:
    """Whether texts are whole numbers; 1.0 is one only beside missing values, where pandas writes it for 1."""
    return all(whole.fullmatch(text) and (gaps or decimal not in text) for text in filled)


def _date(texts: Texts, always: frozenset[str], _: Marks, is_time: bool) -> ColumnGuess | None:
    filled = [text for text in texts.distinct if text not in always]
    odd = frozenset(text for text in filled if text in MISSING_AMONG_NUMBERS or text[:10] == "0000-00-00")
    dates = [text for text in filled if text not in odd]
    forms = times.forms_of(dates, digits=is_time) if _few(texts, odd, always) else []
    if not forms:
        return None
    place = {text: number for number, text in enumerate(dates)}
    seconds = times.parsed(dates, forms[0]).astype(np.int64)
    values = np.array([seconds[place[text]] if text in place else np.nan for text in texts.distinct], dtype=np.float64)
    form = "" if all(map(ISO_DATE.fullmatch, dates)) else forms[0]
    rival = (
        f"{texts.name}: dates such as {dates[0]} also fit {forms[1]}; {forms[0]} is assumed" if len(forms) > 1 else ""
    )
    doubts = (*_odd_doubt(texts, odd, "a date"), *filter(None, [rival]))
    return ColumnGuess(texts, "date", values, form=form, missing=_named(always | odd), doubts=doubts)


def _measure(texts: Texts, always: frozenset[str], marks: Marks, _: bool) -> ColumnGuess | None:
    """Numbers with a unit, such as "23.4 kmpl" or "$5,000"; a unit alone is a missing value."""
    found = {text: _bare(text, marks) for text in texts.distinct if text not in always}
    units = Counter(unit for number, unit in found.values() if number and unit)
    odd = frozenset(text for text, (number, _) in found.items() if not number)
    if not units or len(units) > MOST_UNITS or not _few(texts, odd, always):
        return None
    missing = always | odd
    values = np.array(
        [np.nan if text in missing else _amount(found[text][0], marks) for text in texts.distinct], dtype=np.float64
    )
    several = (
        f"{texts.name} has several units ({', '.join(units)}): the numbers are taken as they are"
        if len(units) > 1
        else ""
    )
    doubts = (*_odd_doubt(texts, odd, "a number with a unit"), *filter(None, [several]))
    return ColumnGuess(texts, "number", values, tuple(units), "", _named(missing), doubts)


def _of_type(texts: Texts, kind: Type, missing: frozenset[str]) -> ColumnGuess:
    """A column whose values are the places of its texts."""
    values = np.array(
        [np.nan if text in missing else place for place, text in enumerate(texts.distinct)], dtype=np.float64
    )
    return ColumnGuess(texts, kind, values, missing=_named(missing))


def _few(texts: Texts, odd: frozenset[str], missing: frozenset[str]) -> bool:
    """Whether odd texts may mean missing: known words for it, or words of hardly any row."""
    filled = len(texts.codes) - texts.rows_with(missing)
    rows = texts.rows_with(odd)
    if not odd:
        return True
    known = odd <= MISSING_AMONG_NUMBERS
    return rows < filled and (known or (rows <= ODD_SHARE * filled and len(odd) <= 3))


def _odd_doubt(texts: Texts, odd: frozenset[str], wanted: str) -> tuple[str, ...]:
    if not odd:
        return ()
    shown = ", ".join(repr(text) for text in sorted(odd))
    return (f"{texts.name}: {shown} is not {wanted} (rows: {texts.rows_with(odd)}) and is taken as missing",)


def _named(missing: frozenset[str]) -> frozenset[str]:
    """Without the empty text, which always means missing."""
    return missing - {""}


def _amount(number: str, marks: Marks) -> float:
    return float(number.replace(marks.decimal, "."))
