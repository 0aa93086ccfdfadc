"""A time in several columns, such as a date and an hour, or a year and a month: one text for each row."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa

from lockgate.data.readers import TEXT, RawTable
from lockgate.problem.description import TimeColumn
from lockgate.problem.periods import TIME_PARTS

HOUR = re.compile(r"([0-9]{1,2})(?:\.0+|:[0-9]{2}(?::[0-9]{2})?)?")
WHOLE = re.compile(r"([0-9]{1,4})(?:\.0+)?")
MIDNIGHT = re.compile(r"[ T]0?0:00(:00(\.0+)?)?$")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def text_of(kinds: Sequence[str], parts: Sequence[str]) -> str:
    """The text of a time: "2011-01-01" and "5" are "2011-01-01 05:00", "2011" and "3" are "2011-03".

    `kinds` are those of the parts, as in TIME_PARTS. Parts that are no such time stay as they are, side by side.
    """
    found = {kind: _part(kind, part.strip()) for kind, part in zip(kinds, parts, strict=True)}
    if not all(found.values()):
        return " ".join(parts)
    if "week" in found:
        return _monday(*(int(found[kind]) for kind in ("year", "week"))) or " ".join(parts)
    day = found.get("date") or "-".join(found[kind] for kind in ("year", "month", "day") if kind in found)
    return f"{day} {found['hour']}:00" if "hour" in found else day


def with_time(raw: RawTable, time: TimeColumn | None) -> RawTable:
    """The table with the time that the description puts together, if the table has its parts and not the time."""
    if time is None or not time.of or time.column in raw.names or not set(time.of) <= set(raw.names):
        return raw
    kinds = TIME_PARTS[time.period][len(time.of)]
    columns = [raw.texts(name) for name in time.of]
    joint = pd.MultiIndex.from_arrays([column.codes for column in columns])
    codes, distinct = pd.factorize(joint)
    texts = [text_of(kinds, [column.text(code) for column, code in zip(columns, row, strict=True)]) for row in distinct]
    whole = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(texts, pa.string()))
    added = raw.table.append_column(time.column, pa.chunked_array([whole], TEXT))
    return replace(raw, table=added.select([time.column, *raw.names]))


def _part(kind: str, text: str) -> str:
    """A part as the text of a time has it; "" if it is no such part."""
    if kind == "date":
        return MIDNIGHT.sub("", text)
    if kind == "month" and text[:3].lower() in MONTHS:
        return f"{MONTHS.index(text[:3].lower()) + 1:02d}"
    match = (HOUR if kind == "hour" else WHOLE).fullmatch(text)
    return "" if not match else match[1].zfill(4 if kind == "year" else 2)


def _monday(year: int, week: int) -> str:
    try:
        return datetime.date.fromisocalendar(year, week, 1).isoformat()
    except ValueError:
        return ""
