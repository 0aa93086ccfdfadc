"""Ranges of stores of the generated chain, drawn on an engine: the numbers are those of the whole chain."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import range_assembly
from lockgate.data.ingest import CheckedRows
from lockgate.data.range_assembly import RangeSummary
from lockgate.errors import BadData
from lockgate.features.store_panel import rossmann
from lockgate.problem.description import Problem
from lockgate.synthetic import generator
from lockgate.synthetic.generator import Draft


@dataclass(frozen=True)
class GeneratedRange:
    """The summary of a range, and sales and perfect forecasts of its last periods."""

    summary: RangeSummary
    sold: NDArray[np.int32]
    perfect: NDArray[np.float64]


@dataclass(frozen=True)
class Generating:
    """Draws the ranges of a chain, and writes their checked rows into the folder `scratch`."""

    problem: Problem
    draft: Draft
    scratch: Path

    def __call__(self, number: int) -> GeneratedRange | BadData:
        """Draw a range; a refusal is returned."""
        chain, keys = self.draft.chain(number), list(self.problem.keys)
        try:
            generator.check(self.problem, chain)
        except BadData as fault:
            return fault
        rows = chain.rows
        found = CheckedRows(rows, rows[keys].drop_duplicates(ignore_index=True), pd.DataFrame(), ())
        perfect = chain.perfect_forecast(self.problem.horizon or 1)
        sold = chain.raw[rossmann.SALES][perfect.index].to_numpy()
        summary = range_assembly.written(self.problem, found, self.scratch, number)
        return GeneratedRange(summary, sold, perfect.to_numpy())
