"""The table that a forecast writes: the columns of the rows, the answers, and the version that gave them."""

from collections.abc import Container, Mapping
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from lockgate.data.row_file import Part
from lockgate.forecaster.interface import ForecasterProtocol

VERSION = "model_version"
DEGRADED = "degraded"  # the column that says so, only if the verified copy has answered
PREFIX = "forecast_"  # of an answer that has the name of a column of the problem


class Answerer(Protocol):
    """A version that answers."""

    @property
    def version(self) -> int:
        """Its number."""

    @property
    def forecaster(self) -> ForecasterProtocol:
        """Its forecaster."""

    @property
    def degraded(self) -> object:
        """Why the verified copy answers, as `str` writes it; None if it does not."""


def of_part(part: Part, found: pd.DataFrame, version: Answerer, typed: bool) -> pa.Table:
    """The rows of a part as the file has them, joined covariates, and the answers.

    `typed`: the columns of a request have their described types, not the texts of a CSV.
    """
    columns = {name: _of_file(part, name, typed) for name in part.raw.names}
    columns |= {str(name): _array(part.rows[name]) for name in part.rows if name not in columns}
    return pa.table({**columns, **answer_columns(found, version)})


def answer_columns(found: pd.DataFrame, version: Answerer) -> Mapping[str, Any]:
    """The columns of answers, the number of the version, and why the verified copy answered, if it did."""
    columns = {str(name): _array(found[name]) for name in found}
    columns[VERSION] = pa.repeat(pa.scalar(version.version), len(found))
    if version.degraded:
        columns[DEGRADED] = pa.repeat(pa.scalar(str(version.degraded)), len(found))
    taken = version.forecaster.problem.roles
    return {answer_name(name, taken): values for name, values in columns.items()}


def answer_name(name: str, taken: Container[str]) -> str:
    """The name of an answer beside the columns of the problem: `forecast_class` if the problem has a column `class`."""
    while name in taken:
        name = PREFIX + name
    return name


def _of_file(part: Part, name: str, typed: bool) -> Any:
    is_text = part.raw.unit == "line"
    if not (typed and is_text):
        return part.raw.table.column(name)
    return _array(part.rows[name] if name in part.types else part.raw.untouched(name))


def _array(values: "pd.Series[Any]") -> Any:
    return pa.array(values, from_pandas=True)
