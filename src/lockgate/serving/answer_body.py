"""The answers as the JSON that `mlflow models serve` gives."""

from collections.abc import Sequence

from pydantic_core import to_json

from lockgate.forecaster.explanation_records import Record
from lockgate.serving.batch import Part


def body(part: Part, explanations: Sequence[Record] = ()) -> bytes:
    """`{"predictions": [...]}` with an object for each row of the request; an unknown bound is null.

    With explanations, one a row, each object has its `explanation`.
    """
    columns = part.scored.columns
    values = zip(*(column[part.start : part.stop] for column in columns.values()), strict=True)
    rows = [dict(zip(columns, row, strict=True)) for row in values]
    for row, explanation in zip(rows, explanations, strict=False):
        row["explanation"] = explanation
    return to_json({"predictions": rows}, inf_nan_mode="null")
