"""The body of a request: every form of the protocol is read alike, and what is wrong is refused without an echo."""

import json

import numpy as np
import pytest

from lockgate.problem.description import Problem
from lockgate.serving.refusals import Refused
from lockgate.serving.request_body import Asked, Reader

PROBLEM = Problem.model_validate(
    {
        "name": "shops",
        "sources": [{"file": "shops.csv"}],
        "target": "sales",
        "keys": ["shop"],
        "time": {"column": "day"},
        "horizon": 7,
        "known_covariates": ["promo", "holiday", "weight"],
        "columns": {
            "shop": {"type": "integer"},
            "day": {"type": "date"},
            "promo": {"type": "flag"},
            "holiday": {"type": "category", "missing": "none"},
            "weight": {"type": "number", "unit": "kg", "missing": "unknown"},
            "sales": {"type": "number"},
        },
        "metric": "mae",
    }
)
READER = Reader(PROBLEM)
ROWS = [[1, "2024-01-01", 0, "a", "5 kg"], [2, "2024-01-02", 1, None, "7 kg"]]
NAMES = ["shop", "day", "promo", "holiday", "weight"]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
SPLIT = {"columns": NAMES, "data": ROWS}
FORMS = [
    {"dataframe_split": SPLIT},
    {"dataframe_split": SPLIT | {"index": [0, 1]}},
    {"dataframe_records": RECORDS},
    {"instances": RECORDS},
    {"inputs": {name: [row[place] for row in ROWS] for place, name in enumerate(NAMES)}},
    {"inputs": RECORDS},
]


def read(body: object, reader: Reader = READER) -> Asked:
    text = body if isinstance(body, str) else json.dumps(body)
    return reader.read(text.encode(), "application/json")


def refused(body: object, **expected: object) -> Refused:
    with pytest.raises(Refused) as found:
        read(body)
    assert {name: getattr(found.value, name) for name in expected} == expected
    return found.value


@pytest.mark.parametrize("body", FORMS)
def test_each_form_gives_the_same_columns(body: object) -> None:
    asked = read(body)
    assert asked.rows == 2 and list(asked.columns) == NAMES and asked.confidence == 0.95
    assert asked.columns["shop"].dtype == np.float64 and asked.columns["shop"].tolist() == [1, 2]
    assert asked.columns["holiday"].tolist() == ["a", None]
    assert asked.form == ("shop:f", "day:O", "promo:f", "holiday:O", "weight:O")


def test_csv_gives_the_cells_as_texts() -> None:
    text = "shop,day,promo,note\n1,2024-01-01,0,x\n2,2024-01-02,1,y\n"
    asked = READER.read(text.encode(), "text/csv; charset=UTF-8")
    assert (asked.columns["shop"].tolist(), asked.ignored, asked.form) == (["1", "2"], ("note",), None)


def test_columns_may_have_any_order_and_further_ones_are_named() -> None:
    turned = [dict(reversed(row.items())) | {"note": 1, "SALES": 2} for row in RECORDS]
    asked = read({"instances": turned})
    assert (list(asked.columns), asked.ignored) == (NAMES, ("SALES", "note"))


def test_a_scalar_for_each_column_is_one_row() -> None:
    assert read({"inputs": RECORDS[0]}).rows == 1


def test_an_optional_column_may_be_missing() -> None:
    asked = read({"instances": [{"shop": 1, "day": "2024-01-01", "promo": 0}]})
    assert asked.form == ("shop:f", "day:O", "promo:f")


def test_true_stays_true_where_the_description_says_a_number_and_is_1_in_a_flag() -> None:
    asked = read({"instances": [RECORDS[0] | {"shop": True, "promo": True}]})
    assert (asked.columns["shop"].tolist(), asked.columns["promo"].dtype) == ([True], np.float64)
    assert asked.columns["shop"][0] is True


@pytest.mark.parametrize(
    "changed", [{"shop": True}, {"promo": "1"}, {"holiday": 1}, {"shop": 10**400}, {"weight": "1" * 20}]
)
def test_a_request_with_values_of_another_type_is_scored_alone(changed: dict[str, object]) -> None:
    assert read({"instances": [RECORDS[0] | changed]}).form is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "1",
        '"x"',
        "\ufeff",
        "[" * 100_000,
        '{"instances":' * 5000,
        {},
        {"rows": []},
        {"instances": [], "inputs": []},
        {"instances": []},
        {"instances": {}},
        {"instances": [[1, 2]]},
        {"instances": [1]},
        {"instances": [{}]},
        {"inputs": {}},
        {"inputs": {"shop": [1], "day": [1, 2]}},
        {"inputs": {"shop": [1], "day": 2}},
        {"inputs": "x"},
        {"dataframe_split": []},
        {"dataframe_split": {"columns": NAMES}},
        {"dataframe_split": {"columns": "shop", "data": []}},
        {"dataframe_split": {"columns": NAMES, "data": []}},
        {"dataframe_split": {"columns": [], "data": [[]]}},
        {"dataframe_split": {"columns": NAMES, "data": [[1]]}},
        {"dataframe_split": {"columns": NAMES, "data": [1]}},
        {"dataframe_split": {"columns": ["shop", "shop"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": [1], "data": [[1]]}},
        {"dataframe_split": SPLIT | {"orient": "split"}},
        {"instances": [RECORDS[0] | {"promo": [1]}]},
        {"instances": [RECORDS[0] | {"promo": {"a": 1}}]},
        {"instances": [{"shop": 1}]},
        '{"instances": [], "instances": []}',
        '{"instances": [{"shop": 1, "shop": 2}]}',
        '{"instances": [{"shop": NaN}]}',
        '{"instances": [{"shop": -Infinity}]}',
        {"instances": [RECORDS[0] | {"holiday": "a\0b"}]},
        {"instances": [RECORDS[0] | {"a\0b": 1}]},
        {"instances": [RECORDS[0] | {"holiday": "\ud800"}]},
        {"instances": RECORDS, "params": {"confidence": 1}},
        {"instances": RECORDS, "params": {"confidence": "0.9"}},
        {"instances": RECORDS, "params": {"confidence": True}},
        {"instances": RECORDS, "params": {"confidence": 1.5}},
        {"instances": RECORDS, "params": {"Confidence": 0.9}},
        {"instances": RECORDS, "params": []},
        {"instances": RECORDS, "more": 1},
    ],
)
def test_a_body_of_another_form_is_refused(body: object) -> None:
    refused(body, status=400)


@pytest.mark.parametrize("text", ["", "shop\n", "shop,shop\n1,2\n", "shop,day\n1\n", 'shop\n"1', "sh\0op\n1\n", "\n\n"])
def test_a_csv_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(Refused) as found:
        READER.read(text.encode(), "text/csv")
    assert found.value.status == 400


@pytest.mark.parametrize("escaped", ["\\\\u0000", "\\\\ud800", "\\ud83d\\ude00"])
def test_texts_that_only_look_like_bad_characters_are_taken(escaped: str) -> None:
    body = json.dumps({"instances": [RECORDS[0]]}).replace('"a"', f'"{escaped}"')
    assert read(body).rows == 1


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-parquet", "text/csv; charset=latin-1", "json"])
def test_another_type_of_body_is_refused(kind: str) -> None:
    with pytest.raises(Refused) as found:
        READER.read(b"{}", kind)
    assert found.value.status == 415


def test_a_body_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(Refused):
        READER.read('{"instances": "ä"}'.encode("latin-1"), "application/json")


@pytest.mark.parametrize("secret", ["s3cret", "'; DROP TABLE x; --", "{{7*7}}", "../../etc/passwd", "\x1b[31m"])
def test_a_refusal_repeats_nothing_of_the_request(secret: str) -> None:
    bodies = [{secret: 1}, {"instances": secret}, {"instances": [{secret: secret}]}, {"params": {secret: 1}}, secret]
    for body in bodies:
        assert secret.encode() not in refused(body).body
