"""Requests that are scored together get the numbers that each gets alone, for every kind of problem."""

import json
import random
from typing import Any

import any_problem
import logged
import pandas as pd
import pytest

from lockgate.bundle import manifest, store
from lockgate.data import dataset
from lockgate.errors import BadData
from lockgate.forecaster.answers import answers
from lockgate.lifecycle.stages import Stage
from lockgate.serving import turn
from lockgate.serving.board import Routes
from lockgate.serving.exchange import Waiting
from lockgate.serving.limits import Limits
from lockgate.serving.live_version import LiveVersion
from lockgate.serving.turn import Turn

FORMS = ("dataframe_records", "dataframe_split", "inputs")
CONFIDENCES = (0.8, 0.95)


@pytest.fixture(scope="module", params=any_problem.KINDS)
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LiveVersion:
    """A version of a problem of each kind."""
    made, _ = any_problem.built(request.param, tmp_path_factory.mktemp("build"))
    forecaster = store.load(made.bundle, manifest.digest(made.bundle))
    rows = dataset.read(made.prepared, "holdout")
    found = LiveVersion("m", 1, "d", Stage.PRODUCTION, None, forecaster)
    vars(found)["rows"] = rows.drop(columns=found.problem.target)
    return found


@pytest.fixture
def asked(version: LiveVersion) -> list[dict[str, Any]]:
    """Requests of one and more rows, in several forms; some of them cannot be forecast."""
    draw, records = random.Random(1), _records(version)
    keys = version.problem.keys
    by_key: dict[Any, list[dict[str, Any]]] = {}
    for record in records:
        by_key.setdefault(tuple(record[name] for name in keys), []).append(record)
    found = []
    for _ in range(40):
        if version.problem.kind == "state":
            key = draw.choice(list(by_key))
            rows = by_key[key][: draw.choice([1, 1, 3, 30])]
        else:
            rows = draw.sample(records, draw.choice([1, 1, 1, 2, 7]))
        if draw.random() < 0.15:
            rows = [{**rows[0], draw.choice(list(rows[0])): "no such value"}, *rows[1:]]
        found.append({draw.choice(FORMS): rows, "params": {"confidence": draw.choice(CONFIDENCES)}})
    return [{form: _in_form(form, rows) for form, rows in each.items()} for each in found]


def _records(version: LiveVersion) -> list[dict[str, Any]]:
    rows: pd.DataFrame = vars(version)["rows"]
    dates = {name: rows[name].dt.strftime("%Y-%m-%d") for name in rows.select_dtypes("datetime")}
    return json.loads(rows.assign(**dates).to_json(orient="records", double_precision=15))


def _in_form(form: str, rows: Any) -> Any:
    if form == "dataframe_split":
        return {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    if form == "inputs":
        return {name: [row[name] for row in rows] for name in rows[0]}
    return rows


def _together(version: LiveVersion, asked: list[dict[str, Any]]) -> list[tuple[int, Any]]:
    waiting = [Waiting(json.dumps(each).encode(), "application/json", None, lambda _: None) for each in asked]
    now = Turn(waiting, Routes(version), Limits())
    found = turn.entries(now)
    turn.score(found, now.limits, with_log=True)
    replies = [turn.reply(entry) for entry in found]
    return [(reply.status, json.loads(reply.body)) for reply in replies]


def test_answers_and_refusals_are_those_of_each_request_alone(
    version: LiveVersion, asked: list[dict[str, Any]]
) -> None:
    together = _together(version, asked)
    assert together == [_together(version, [each])[0] for each in asked]
    assert {status for status, _ in together} == {200, 422}


def test_answers_are_those_of_the_forecaster_for_the_rows_as_a_table(
    version: LiveVersion, asked: list[dict[str, Any]]
) -> None:
    for each, (status, body) in zip(asked, _together(version, asked), strict=True):
        form = next(iter(each))
        given = each[form]
        table = pd.DataFrame(**given) if form == "dataframe_split" else pd.DataFrame(given)
        if status == 200:
            expected = answers(version.forecaster, table, each["params"]["confidence"])
            unknown = expected.astype(object).where(expected.notna(), None)
            assert body["predictions"] == unknown.to_dict("records")
        else:
            with pytest.raises(BadData):
                answers(version.forecaster, table, each["params"]["confidence"])


def test_each_answered_row_is_in_the_log_with_its_answer(version: LiveVersion, asked: list[dict[str, Any]]) -> None:
    waiting = [Waiting(json.dumps(each).encode(), "application/json", None, lambda _: None) for each in asked]
    found = turn.entries(Turn(waiting, Routes(version), Limits()))
    turn.score(found, Limits(), with_log=True)
    for entry in found:
        reply = turn.reply(entry)
        if reply.status != 200:
            assert entry.logged == []
            continue
        [request] = entry.logged
        predictions = json.loads(reply.body)["predictions"]
        kept = logged.rows_of(request.rows)
        assert [row.prediction for row in kept] == [each.get("prediction") for each in predictions]
        assert request.request_id == entry.waiting.request_id
