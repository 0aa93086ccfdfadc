"""The answers of `lockgate predict` stand beside the columns of the problem, and replace none of them."""

from types import SimpleNamespace

import pandas as pd
import plain_tables
import pyarrow.parquet as pq

from lockgate.data.row_file import RowFile
from lockgate.forecaster.answers import answers
from lockgate.operations.forecast_chunks import ChunkForecasts
from lockgate.training import train


def test_a_column_of_the_problem_keeps_its_values_beside_an_answer_of_its_name(tmp_path):
    names = {"size": "lower", "city": "class", "flag": "forecast_lower"}
    columns = {names.get(name, name): described for name, described in plain_tables.COLUMNS.items()}
    params = plain_tables.params(
        "regression",
        known_covariates=list(columns),
        columns={**columns, "price": {"type": "number"}},
        members=["linear"],
    )
    forecaster = train.train(
        plain_tables.rows("regression", 200).rename(columns=names), pd.DataFrame(), params, lambda *_: None
    )[0]
    rows = plain_tables.rows("regression", 20, seed=2).rename(columns=names).drop(columns="price")
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    version = SimpleNamespace(version=3, forecaster=forecaster, degraded=None)
    [chunk] = RowFile.open(params.problem, tmp_path / "rows.parquet").parts()
    [table] = ChunkForecasts(params.problem, version, 0.9, typed=True).tables(chunk, None)
    assert table.column_names == [*rows, "prediction", "forecast_forecast_lower", "upper", "model_version"]
    for name in ("lower", "class", "forecast_lower"):
        assert table.column(name).to_pylist() == pq.read_table(tmp_path / "rows.parquet")[name].to_pylist()
    assert table.column("forecast_forecast_lower").to_pylist() == answers(forecaster, rows, 0.9)["lower"].tolist()
