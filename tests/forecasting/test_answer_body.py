"""The body of an answer is the JSON of its rows, whatever their columns are."""

import json

import numpy as np
import pytest

from lockgate.forecaster.raw_rows import ArrayRows
from lockgate.serving import answer_body
from lockgate.serving.batch import Part, Scored

NUMBERS = np.array([0.1, -1e300, 5e-324, np.nan, np.inf, 3.0])
TEXTS = np.array(['a "b", c', "line\nend\\", "ü 🙂", "%s", "", "a"], dtype=object)
ANSWERS = {
    "a number": {"prediction": NUMBERS, "lower": NUMBERS - 1, "upper": NUMBERS + 1},
    "two classes": {"prediction": NUMBERS, "class": TEXTS},
    "more classes": {"class": TEXTS, 'probability_"a", b': NUMBERS, "probability_%b": -NUMBERS},
    "one column": {"prediction": NUMBERS},
}


@pytest.mark.parametrize("answers", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize(("start", "stop"), [(0, 6), (0, 1), (2, 5), (5, 6)])
def test_the_body_has_an_object_for_each_row(answers: dict[str, np.ndarray], start: int, stop: int) -> None:
    part = Part(Scored(ArrayRows(answers), answers), start, stop)
    assert json.loads(answer_body.body(part)) == {"predictions": _rows(answers)[start:stop]}


def test_each_row_may_have_its_explanation() -> None:
    answers = ANSWERS["a number"]
    explanations = [{"base": float(place), "text": 'a, "b"'} for place in range(6)]
    body = answer_body.body(Part(Scored(ArrayRows(answers), answers), 0, 6), explanations)
    expected = [row | {"explanation": each} for row, each in zip(_rows(answers), explanations, strict=True)]
    assert json.loads(body) == {"predictions": expected}


def _rows(answers: dict[str, np.ndarray]) -> list[dict[str, object]]:
    return [{name: _value(column[row]) for name, column in answers.items()} for row in range(6)]


def _value(value: object) -> object:
    return value if isinstance(value, str) else float(value) if np.isfinite(value) else None
