"""Inputs known in advance: each row's key, period and known covariates. Contains no target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data.column_types import category_codes
from lockgate.problem.columns import Category, Column, Date, Decimal, Months, Role, Whole
from lockgate.problem.description import Problem

Ints = NDArray[np.int64]
Codes = NDArray[Any]  # int8 of flags, int16 of categories (int8 of few), float64 of numbers
Categories = Mapping[str, tuple[str, ...]]  # the texts of each category column; the place of a text is its code

UNKNOWN = -1  # code of a missing value, or of a text that is no known category
FEW = 127


@dataclass(frozen=True)
class KnownInputs:
    """The known inputs of rows; one entry a row."""

    key: Ints  # place in Series
    period: Ints  # number of the period (problem/periods.py)
    covariates: Mapping[str, Codes]  # by name of the column

    def __len__(self) -> int:
        return len(self.period)

    def take(self, which: Ints | NDArray[np.bool_]) -> "KnownInputs":
        """Some of the rows, by place or by flag."""
        covariates = {name: values[which] for name, values in self.covariates.items()}
        return KnownInputs(self.key[which], self.period[which], covariates)


def covariate_columns(problem: Problem) -> tuple[Column, ...]:
    """The known covariates of rows that are learned; the column of `where` is equal in all of them."""
    where = problem.where.column if problem.where else ""
    return tuple(column for column in problem.of_role(Role.KNOWN_COVARIATES) if column.name != where)


def categories_of(columns: tuple[Column, ...], frame: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The texts of each category column: those of its description, else those in the frame, sorted."""
    return {
        column.name: column.kind.values or tuple(sorted(frame[column.name].dropna().astype(str).unique()))
        for column in columns
        if isinstance(column.kind, Category)
    }


def union_of(found: Sequence[Categories]) -> dict[str, tuple[str, ...]]:
    """All texts of each column in parts of a table; those of its description have their order, as in each part."""
    return {name: _texts([each[name] for each in found]) for name in found[0]}


def _texts(found: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    if all(each == found[0] for each in found):
        return found[0]
    return tuple(sorted({text for each in found for text in each}))


def encoded(
    columns: tuple[Column, ...], values: pd.DataFrame | Mapping[str, NDArray[Any]], categories: Categories
) -> dict[str, Codes]:
    """Columns (in the types that ingest gives them) as codes and numbers."""
    return {column.name: _encoded(column, values[column.name], categories) for column in columns}


def _encoded(column: Column, values: "pd.Series[Any] | NDArray[Any]", categories: Categories) -> Codes:
    if isinstance(column.kind, Category):
        texts = categories[column.name]
        if len(texts) <= FEW:
            return category_codes(np.asarray(values, dtype=object), texts)
        return np.asarray(pd.Index(texts).get_indexer(pd.Index(values)), dtype=np.int16)
    if isinstance(column.kind, Whole | Decimal):
        return np.asarray(values, dtype=np.float64)
    if isinstance(column.kind, Date):
        days = np.asarray(values).astype("datetime64[D]")
        return np.where(np.isnat(days), np.nan, days.astype(np.float64))
    if isinstance(column.kind, Months):
        return np.array([len(str(text).split(",")) if text and text == text else 0 for text in values], dtype=np.int8)
    return np.where(pd.isna(values), UNKNOWN, values).astype(np.int8)
