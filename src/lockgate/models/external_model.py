"""A model from elsewhere behind one interface: a booster, an estimator of scikit-learn, or a network in ONNX."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.models.booster import Booster
from lockgate.models.members import MEMBERS

Floats = NDArray[np.float64]

BLOCK = 256  # rows of one call


class ExternalModel(Protocol):
    """A model with named input columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the input columns, in the order of the training; () if the file has none."""

    @property
    def classes(self) -> tuple[Any, ...]:
        """The classes of the outputs, in their order; () for a regression, and if the file has none."""

    def raw(self, values: pd.DataFrame, threads: int) -> Floats:
        """Outputs of rows, (rows,) or (rows, outputs); those of a row do not depend on other rows or threads.

        Columns are float64 or texts, in the order of the training.
        """


@dataclass(frozen=True)
class BoosterModel:
    """A booster: it takes numbers only."""

    booster: Booster

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    @property
    def classes(self) -> tuple[Any, ...]:
        return tuple(getattr(getattr(self.booster, "model", None), "classes_", ()))

    def raw(self, values: pd.DataFrame, threads: int) -> Floats:
        return self.booster.raw(values.to_numpy(dtype=np.float64), threads)


def in_blocks(values: pd.DataFrame, forecast: Callable[[pd.DataFrame], Any], size: int = BLOCK) -> Floats:
    """The outputs of rows, computed in blocks that all have `size` rows; the last one is filled up with its last row.

    A matrix product of fewer rows may round in another way, so that a row alone would differ from the row in a batch.
    """
    starts = range(0, max(len(values), 1), size)
    return np.concatenate([_block(values.iloc[start : start + size], forecast, size) for start in starts])


def _block(rows: pd.DataFrame, forecast: Callable[[pd.DataFrame], Any], size: int) -> Floats:
    places = np.minimum(np.arange(size), len(rows) - 1)
    return np.asarray(forecast(rows.iloc[places]), dtype=np.float64)[: len(rows)]


def _booster(library: str) -> Callable[[bytes], ExternalModel]:
    return lambda content: BoosterModel(MEMBERS[library].restore(content))


def _estimator(content: bytes) -> ExternalModel:
    from lockgate.models import sklearn_estimator  # its libraries take a second

    return sklearn_estimator.restore(content)


def _network(content: bytes) -> ExternalModel:
    from lockgate.models import onnx_network

    return onnx_network.restore(content)


RESTORE: dict[str, Callable[[bytes], ExternalModel]] = {
    **{library: _booster(library) for library in MEMBERS},
    "sklearn": _estimator,
    "onnx": _network,
}
