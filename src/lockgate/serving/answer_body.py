"""The answers as the JSON that `mlflow models serve` gives."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from pydantic_core import to_json

from lockgate.forecaster.explanation_records import Record
from lockgate.serving.batch import Part


def body(part: Part, explanations: Sequence[Record] = ()) -> bytes:
    """`{"predictions": [...]}` with an object for each row of the request; an unknown bound is null.

    With explanations, one a row, each object has its `explanation`.
    """
    columns = {name: _texts(column[part.start : part.stop]) for name, column in part.scored.answers.items()}
    if explanations:
        columns["explanation"] = [to_json(each, inf_nan_mode="null") for each in explanations]
    objects = map(b",".join, zip(*(_named(name, texts) for name, texts in columns.items()), strict=True))
    return b'{"predictions":[{%b}]}' % b"},{".join(objects)


def _texts(column: NDArray[Any]) -> list[bytes]:
    """The JSON of each value. The numbers of a column are written together, which takes a third of the time."""
    if column.dtype.kind not in "iufb":
        return [to_json(value) for value in column.tolist()]
    return to_json(column.tolist(), inf_nan_mode="null")[1:-1].split(b",")


def _named(name: str, texts: list[bytes]) -> list[bytes]:
    """The name before each value."""
    key = to_json(name) + b":"
    return [key + text for text in texts]
