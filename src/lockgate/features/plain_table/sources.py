"""Where a feature takes its values from: a column, or what is made of one, row by row."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Texts = NDArray[Any]  # of objects: str

NUMBER = re.compile(r"\d[\d,]*\.?\d*|\.\d+")
MISSING = ""
EPOCH_DAY = "datetime64[D]"

How = Literal["", "first_words", "number_in", "over"]


@dataclass(frozen=True)
class Source:
    """A column of the rows as it is, its first words, the number at a place in its text, or its ratio to another."""

    column: str
    how: How = ""
    count: int = 0
    other: str = ""

    @property
    def name(self) -> str:
        """The name of the values."""
        match self.how:
            case "first_words":
                return f"{self.column}.first_{self.count}" + ("_words" if self.count > 1 else "_word")
            case "number_in":
                return f"{self.column}.number_{self.count + 1}"
            case "over":
                return f"{self.column}/{self.other}"
        return self.column

    def numbers(self, rows: pd.DataFrame) -> Floats:
        """The values as numbers; NaN where there is none."""
        if self.how == "number_in":
            return _by_distinct(rows[self.column], self._number_in)
        values = _numbers(rows[self.column])
        if self.how == "over":
            with np.errstate(divide="ignore", invalid="ignore"):
                values = values / _numbers(rows[self.other])
        return np.where(np.isfinite(values), values, np.nan)

    def texts(self, rows: pd.DataFrame) -> Texts:
        """The values as texts; MISSING where there is none."""
        values = rows[self.column]
        found = np.asarray(values.astype(object).where(values.notna(), MISSING), dtype=object)
        texts = np.array([_text(value) for value in found], dtype=object)
        if self.how == "first_words":
            return np.array([" ".join(text.split()[: self.count]) for text in texts], dtype=object)
        return texts

    def days(self, rows: pd.DataFrame) -> NDArray[np.datetime64]:
        """The values as days; NaT where there is none."""
        return np.asarray(rows[self.column].to_numpy(dtype="datetime64[s]").astype(EPOCH_DAY))

    def array(self) -> NDArray[Any]:
        """As an array of texts, for a bundle; `of_array` reads it."""
        return np.array([self.column, self.how, str(self.count), self.other])

    @classmethod
    def of_array(cls, stored: NDArray[Any]) -> "Source":
        """Read what `array` wrote."""
        column, how, count, other = map(str, stored)
        return cls(column, how, int(count), other)  # type: ignore[arg-type]

    def _number_in(self, text: str) -> float:
        found = [match.replace(",", "") for match in NUMBER.findall(text)]
        return float(found[self.count]) if self.count < len(found) else np.nan


def _numbers(values: "pd.Series[Any]") -> Floats:
    return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)


def _by_distinct(values: "pd.Series[Any]", number: Any) -> Floats:
    codes, distinct = pd.factorize(values)
    known = np.array([*(number(str(text)) for text in distinct), np.nan])
    return np.asarray(known[codes])


def _text(value: object) -> str:
    """A category as text: 1, 1.0 and "1" are the same."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
