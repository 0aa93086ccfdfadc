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
    return b'{"predictions":[{%b}]}' % _objects(columns, part.stop - part.start)


def _texts(column: NDArray[Any]) -> list[bytes]:
    """The JSON of each value. The numbers of a column are written together, which takes a third of the time."""
    if column.dtype.kind == "O":
        return [to_json(value) for value in column.tolist()]
    return to_json(column.tolist(), inf_nan_mode="null")[1:-1].split(b",")


def _objects(columns: dict[str, list[bytes]], rows: int) -> bytes:
    """The objects of the rows without the first and the last bracket.

    The pieces of a row are name, value, name, value and so on. They are set column by column, and joined once.
    """
    width = 2 * len(columns)
    pieces = [b""] * (width * rows)
    for place, (name, texts) in enumerate(columns.items()):
        before = b"," if place else b"},{"
        pieces[2 * place :: width] = [before + to_json(name) + b":"] * rows
        pieces[2 * place + 1 :: width] = texts
    return b"".join(pieces).removeprefix(b"},{")
