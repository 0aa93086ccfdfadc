"""The recipe of a plain table: every column by its type, and the declared features."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.errors import BadData
from lockgate.features.plain_table import words
from lockgate.features.plain_table.declaration import declaration
from lockgate.features.plain_table.parts import DateParts, Encoded, GroupStatistics, Number, OneHot, Part
from lockgate.features.plain_table.sources import Source
from lockgate.features.tabular import Arrays, FeatureMatrix, Floats, Learned, TabularRecipe
from lockgate.problem.columns import Category, Date, Months, Role
from lockgate.problem.description import Problem

MOST_INDICATORS = 12  # values of a category with a column each
FEWEST_ENCODED = 5  # a category with at least this number of values has its mean target, too
MOST_DISTINCT = 0.9  # values for each row, above which a text names the row
FOLDS = 5  # of the target encoding
KINDS: dict[str, Any] = {
    "number": Number, "date": DateParts, "one_hot": OneHot, "encoded": Encoded, "words": words.Words,
    "group": GroupStatistics,
}  # fmt: skip


@dataclass(frozen=True)
class TableState:
    """The parts of the matrix, in the order of its columns."""

    parts: tuple[Part, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the features."""
        return tuple(name for part in self.parts for name in part.names)

    @property
    def origins(self) -> tuple[str, ...]:
        """What each feature is made of: a column, or the ratio of two."""
        return tuple(_origin(part) for part in self.parts for _ in part.names)

    @property
    def changing(self) -> tuple[str, ...]:
        """None: a plain table has no time."""
        return ()

    def transform(self, rows: pd.DataFrame) -> FeatureMatrix:
        """The matrix of rows; a row's features do not depend on the other rows."""
        columns = [part.columns(rows) for part in self.parts]
        return FeatureMatrix(np.concatenate(columns, axis=1).astype(np.float32), self.names)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of each part, by its place, its kind and their name."""
        kinds = {cls: kind for kind, cls in KINDS.items()}
        return {
            f"{place:04d}.{kinds[type(part)]}.{name}": array
            for place, part in enumerate(self.parts)
            for name, array in part.arrays().items()
        }


def fit(problem: Problem, rows: pd.DataFrame, target: Floats, seed: int) -> Learned:
    """The state of rows and their target, (rows, outputs). Raises BadData if no column tells the rows apart."""
    parts = tuple(_parts(problem, rows, target))
    if not parts:
        raise BadData("no column tells the rows apart", where="training", hint="describe columns that are not constant")
    state = TableState(parts)
    return Learned(state, _out_of_fold(state, rows, target, seed))


def restore(problem: Problem, arrays: Arrays) -> TableState:
    """The state of the arrays that it gave."""
    grouped: dict[tuple[str, str], dict[str, NDArray[Any]]] = {}
    for key, array in arrays.items():
        place, kind, name = key.split(".", 2)
        grouped.setdefault((place, kind), {})[name] = array
    return TableState(tuple(KINDS[kind].of_arrays(grouped[place, kind]) for place, kind in sorted(grouped)))


PLAIN_TABLE = TabularRecipe(fit, restore)


def _origin(part: Any) -> str:
    source: Source = part.of if isinstance(part, GroupStatistics) else part.source
    return source.name if source.how == "over" else source.column


def _parts(problem: Problem, rows: pd.DataFrame, target: Floats) -> Iterator[Part]:
    declared = declaration(problem)
    numbers, categories = list(declared.numbers), list(declared.categories)
    learned = [column for column in problem.request if column.role is not Role.KEYS]
    for column in sorted(learned, key=lambda column: column.name):
        source = Source(column.name)
        if isinstance(column.kind, Date):
            if date := DateParts.fit(source, rows):
                yield date
        else:
            (categories if isinstance(column.kind, Category | Months) else numbers).append(source)
    for source in numbers:
        if number := Number.fit(source, rows):
            yield number
    for source in categories:
        yield from _category(source, rows, target)
    yield from words.fit((source for source in categories if not source.how), rows)
    for by, of in declared.groups:
        if group := GroupStatistics.fit(by, of, rows):
            yield group


def _category(source: Source, rows: pd.DataFrame, target: Floats) -> Iterator[Part]:
    texts = source.texts(rows)
    distinct = len(set(texts))
    if distinct <= MOST_INDICATORS and (indicators := OneHot.fit(source, rows)):
        yield indicators
    if FEWEST_ENCODED <= distinct <= MOST_DISTINCT * len(texts):
        yield Encoded.fit(source, texts, target)


def _out_of_fold(state: TableState, rows: pd.DataFrame, target: Floats, seed: int) -> FeatureMatrix:
    """The matrix of the training rows; the mean target of a row's value is that of rows of the other folds."""
    fold = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    columns = [
        _encoded_out_of_fold(part, rows, target, fold) if isinstance(part, Encoded) else part.columns(rows)
        for part in state.parts
    ]
    return FeatureMatrix(np.concatenate(columns, axis=1).astype(np.float32), state.names)


def _encoded_out_of_fold(part: Encoded, rows: pd.DataFrame, target: Floats, fold: NDArray[np.int64]) -> Floats:
    texts = part.source.texts(rows)
    found = part.of_texts(texts)
    for number in range(FOLDS):
        own = fold == number
        if own.any() and not own.all():
            others = Encoded.fit(part.source, texts[~own], target[~own])
            found[own, :-1] = others.of_texts(texts[own])[:, :-1]
    return found
