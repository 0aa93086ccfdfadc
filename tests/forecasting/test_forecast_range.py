"""No forecast lies below 0 where the description says that the target cannot: ours are limited, others are refused."""

import warnings
from types import SimpleNamespace

import foreign_models
import numpy as np
import pandas as pd
import plain_tables
import pytest
import skops.io
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from lockgate.bundle import external_conversion
from lockgate.bundle.external_conversion import Declared
from lockgate.data.row_file import RowFile
from lockgate.errors import BadData
from lockgate.forecaster import explain, typed_rows
from lockgate.forecaster.answers import ImpossibleForecasts, answers
from lockgate.forecaster.external import NativeFile
from lockgate.lifecycle.stages import Stage
from lockgate.operations.forecast_chunks import ChunkForecasts
from lockgate.serving import batch
from lockgate.serving.live_version import LiveVersion
from lockgate.training import train

with warnings.catch_warnings():  # MLflow warns of its own type hints
    warnings.simplefilter("ignore")
    from lockgate.registry.served_model import BundledForecaster, RequestRefused

FEW = {"columns": {**plain_tables.COLUMNS, "price": {"type": "number", "range": [0, 1000]}}, "members": ["linear"]}
COLUMNS = ["colour", "city", "size", "flag"]


def sold(count, seed=1):
    """Rows whose target is often 0 and never below."""
    rows = plain_tables.rows("regression", count, seed)
    return rows.assign(price=np.maximum(rows["price"] - 7, 0))


@pytest.fixture(scope="module")
def own():
    return train.train(sold(200), pd.DataFrame(), plain_tables.params("regression", **FEW), lambda *_: None)[0]


@pytest.fixture(scope="module")
def external():
    rows = sold(200)
    model = make_pipeline(foreign_models.encoded(COLUMNS[:2], COLUMNS[2:]), Ridge()).fit(rows[COLUMNS], rows["price"])
    return external_conversion.adopt(
        NativeFile("sklearn", skops.io.dumps(model)),
        Declared(None, None, "value"),
        external_conversion.rows_of(plain_tables.params("regression", **FEW).problem, rows, pd.DataFrame(), None),
        rows["price"],
    )


def test_a_trained_table_forecasts_nothing_below_zero_and_no_lower_bound(own):
    rows = sold(100, seed=2).drop(columns="price")
    matrix = own.state.transform(typed_rows.typed(own.problem, rows))
    free = own.blend.blended(own.blend.members(matrix, 0))
    found = answers(own, rows, 0.9)
    assert free.min() < 0
    assert found[["prediction", "lower"]].min().tolist() == [0, 0]
    assert (found["lower"] <= found["prediction"]).all()
    explained = explain.explain(own, rows, np.arange(len(rows)))
    assert np.array_equal(explained.forecast, found["prediction"])


def test_an_external_model_is_judged_by_its_own_numbers_and_refused_row_by_row(external):
    rows = sold(40, seed=2).drop(columns="price")
    raw = external.predict(rows)
    assert raw.min() < 0
    with pytest.raises(ImpossibleForecasts) as refusal:
        answers(external, rows, 0.9)
    assert [each.row for each in refusal.value.problems] == np.flatnonzero(raw < 0).tolist()
    first = int(np.flatnonzero(raw < 0)[0])
    assert f"rows have no possible forecast: row {first}: prediction is -" in str(refusal.value)
    assert refusal.value.hint.startswith("prediction is a finite number, 0 or more; correct the model")
    assert answers(external, rows[raw >= 0], 0.9)["prediction"].tolist() == raw[raw >= 0].tolist()


def test_over_http_only_the_request_with_such_a_row_is_refused(external):
    live = LiveVersion("m", 1, "d", Stage.PRODUCTION, None, external)
    rows = sold(40, seed=2)[COLUMNS]
    raw = external.predict(rows)
    good, bad = np.flatnonzero(raw >= 0)[:2], [np.flatnonzero(raw >= 0)[0], np.flatnonzero(raw < 0)[0]]
    asked = [live.reader.read(body(rows.iloc[places]), "application/json") for places in (good, bad)]
    answered, refused = batch.score(live, asked)
    assert isinstance(answered, batch.Part)
    assert (refused.status, refused.message) == (422, "the model has no possible forecast for 1 rows")
    expected = {"row": 1, "column": "prediction", "allowed": "prediction is a finite number, 0 or more"}
    assert refused.more == {"rows": [expected]}


def test_in_a_file_the_line_is_named_and_skip_bad_sets_it_aside(external, tmp_path):
    rows = sold(40, seed=2)[COLUMNS]
    raw = external.predict(rows)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    source = RowFile.open(external.problem, tmp_path / "rows.csv")
    version = SimpleNamespace(version=3, forecaster=external, degraded=None)
    chunks = ChunkForecasts(external.problem, version, 0.9, typed=False)
    [chunk] = source.parts()
    first = int(np.flatnonzero(raw < 0)[0])
    with pytest.raises(BadData, match=f"rows have no possible forecast: line {first + 2}: prediction is -"):
        list(chunks.tables(chunk, None))
    aside = []
    [table] = chunks.tables(chunk, lambda *bad: aside.append(bad))
    assert table.column("prediction").to_pylist() == raw[raw >= 0].tolist()
    assert len(aside) == int((raw < 0).sum())


def test_the_model_in_mlflow_refuses_it_too(external):
    model = BundledForecaster()
    model.forecaster = external
    with pytest.raises(RequestRefused, match="rows have no possible forecast"):
        model.predict(None, sold(40, seed=2)[COLUMNS])


def body(rows):
    return f'{{"dataframe_split": {rows.to_json(orient="split", index=False)}}}'.encode()
