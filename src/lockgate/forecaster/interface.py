"""What every forecaster answers, whatever is inside: our own ensemble, or a model that was trained elsewhere."""

from datetime import date
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.known_inputs import StoreAttributes
from lockgate.forecaster.ensemble import Checked
from lockgate.forecaster.input_rows import RowProblem
from lockgate.models.conformal import Interval


class Answering(Protocol):
    """Raw rows in, sales out, for known stores and a limited span of days after `origin`."""

    @property
    def attributes(self) -> StoreAttributes:
        """What is known of the stores."""

    @property
    def members(self) -> tuple[str, ...]:
        """Names of what it is made of."""

    @property
    def horizon_days(self) -> int:
        """The days after `origin` up to the last one that the gate judges."""

    @property
    def served_days(self) -> int:
        """The days after `origin` that it answers for, the judged ones and some after them."""

    @property
    def origin(self) -> date:
        """The last day that was learned from."""

    def check(self, rows: pd.DataFrame) -> Checked:
        """Read the rows without forecasting; BadData for what `predict` would refuse."""

    def problems(self, rows: pd.DataFrame) -> list[RowProblem]:
        """Each value that cannot be forecast, by row; BadData if a column is missing."""

    def predict(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Sales of raw rows, (rows,), in their order; exactly 0.0 where Open is 0; BadData for rows out of bounds.

        A row's forecast is the same alone and in any batch, order and process. `rows` is not changed.
        """

    def interval(self, rows: pd.DataFrame, confidence: float) -> Interval:
        """Forecasts as by `predict`, with their bounds; NaN for bounds that it does not know.

        Raises BadData as `predict` does, WrongUsage for a confidence out of range.
        """
