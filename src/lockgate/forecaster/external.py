"""The forecaster of an external model: a booster, an estimator or a network, with input columns made of raw rows."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.forecaster.checked_rows import RowProblem
from lockgate.forecaster.external_rows import ExternalRows
from lockgate.forecaster.interface import SMALL_BATCH, RowCounts
from lockgate.forecaster.raw_rows import RawRows
from lockgate.forecaster.window import Window
from lockgate.models.conformal import Interval
from lockgate.models.external_model import RESTORE, ExternalModel
from lockgate.problem.confidence import checked
from lockgate.problem.description import Problem
from lockgate.problem.target import Target

Floats = NDArray[np.float64]

PARALLEL_THREADS = 4


@dataclass(frozen=True)
class NativeFile:
    """A model's file, unchanged, in the format of its own library."""

    library: str
    content: bytes

    @cached_property
    def model(self) -> ExternalModel:
        """The model. Opening an unverified file may end the process."""
        return RESTORE[self.library](self.content)


@dataclass(frozen=True)
class Meaning:
    """A model's input columns in their order, and its output.

    `texts` are the columns that it takes as texts; all others are numbers. `classes` are the classes of the outputs in
    their order: () for a regression, and for an output that is the probability of the positive class alone. An output
    that is one of two probabilities is that of the second class.
    """

    columns: tuple[str, ...]
    target: Target
    texts: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def forecast(self, raw: Floats, classes: tuple[str, ...]) -> Floats:
        """Outputs as forecasts of a problem with these classes, the positive one last."""
        if not classes:
            return self._value(raw)
        chances = self._probabilities(raw)
        if raw.ndim == 1:  # of the second class
            return chances if self.classes[-1:] in ((), classes[-1:]) else np.asarray(1 - chances)
        ordered = chances[:, [self.classes.index(name) for name in classes]]
        return np.asarray(ordered[:, -1] if len(classes) == 2 else ordered)

    def _value(self, raw: Floats) -> Floats:
        if self.target == "log":
            return np.exp(raw)
        return np.expm1(raw) if self.target == "log1p" else raw

    def _probabilities(self, raw: Floats) -> Floats:
        """Probabilities of class 1, (rows,), or of each class, (rows, classes): these sum to 1."""
        if self.target == "logit" and raw.ndim == 1:
            return np.asarray(1 / (1 + np.exp(-np.clip(raw, -700, 700))))
        if raw.ndim == 1:
            return raw
        found = np.exp(raw - raw.max(axis=1, keepdims=True)) if self.target == "logit" else raw
        return np.asarray(found / found.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class ExternalForecaster:
    """Forecasts the model's output; of a panel, also periods that the gate did not judge.

    Its forecasts may be negative or not finite: the gate judges them as they are, and `answers` refuses them. `classes`
    are those of the target, sorted: () for a regression, and the positive one last for two classes.
    """

    native: NativeFile
    meaning: Meaning
    rows: ExternalRows
    classes: tuple[str, ...] = ()

    @property
    def problem(self) -> Problem:
        """The problem that it forecasts."""
        return self.rows.problem

    @property
    def members(self) -> tuple[str, ...]:
        """The library of its model."""
        return (self.native.library,)

    @property
    def window(self) -> Window | None:
        """The periods of a panel, trained until the declared one; None for a plain table and for states."""
        return self.rows.window

    def check(self, rows: RawRows) -> RowCounts:
        """Check the rows and count them; raises BadData for rows that `predict` would refuse."""
        return self.rows.check(rows)

    def problems(self, rows: RawRows) -> list[RowProblem]:
        """Each value that cannot be forecast, by row. Raises BadData if a column is missing."""
        return self.rows.problems(rows)

    def predict(self, rows: RawRows) -> Floats:
        """Forecasts of raw rows in their order: (rows,), or (rows, classes) for more than two classes.

        They are `where.otherwise` for rows that are not learned; periods left are within 0 and the cap. Raises BadData
        for rows that cannot be forecast.
        """
        read = self.rows.values(rows, self.meaning.columns, self.meaning.texts)
        shape = (len(rows), len(self.classes)) if len(self.classes) > 2 else (len(rows),)
        found = np.full(shape, self.problem.where.otherwise if self.problem.where else 0.0)
        if read.learned.any():
            found[read.learned] = self.meaning.forecast(self.raw(read.values), self.classes)
        derived = self.problem.derived
        return np.clip(found, 0, derived.cap) if derived else found

    def interval(self, rows: RawRows, confidence: float) -> Interval:
        """Forecasts with bounds NaN, because its residuals are unknown.

        Raises the errors of `predict`, and WrongUsage for the confidence.
        """
        checked(confidence)
        prediction = self.predict(rows)
        unknown = np.full(prediction.shape, np.nan)
        return Interval(prediction, unknown, unknown)

    def raw(self, values: pd.DataFrame) -> Floats:
        """The model's outputs of some values of its columns."""
        return self.native.model.raw(values, 1 if len(values) < SMALL_BATCH else PARALLEL_THREADS)
