"""The answers as the JSON that `mlflow models serve` gives."""

from pydantic_core import to_json

from lockgate.serving.batch import Part


def body(part: Part) -> bytes:
    """`{"predictions": [...]}` with an object for each row of the request; an unknown bound is null."""
    columns = part.scored.columns
    values = zip(*(column[part.start : part.stop] for column in columns.values()), strict=True)
    rows = [dict(zip(columns, row, strict=True)) for row in values]
    return to_json({"predictions": rows}, inf_nan_mode="null")
