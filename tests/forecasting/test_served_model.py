"""What a registered version answers at MLflow's doors: pyfunc, and the body of a request to `mlflow models serve`."""

import json
import shutil
import warnings

import mlflow
import numpy as np
import pandas as pd
import pytest
import small_chain
from mlflow.exceptions import MlflowException

from lockgate.bundle import store
from lockgate.bundle.mlmodel import MODEL_FILE
from lockgate.forecaster.time_values import DAY_FORM
from lockgate.registry.run_log import signature_of

with warnings.catch_warnings():  # MLflow warns of its own type hints
    warnings.simplefilter("ignore")
    from mlflow.pyfunc import scoring_server

JSON = "application/json"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model as a registration logs it, loaded as a client loads it."""
    folder = tmp_path_factory.mktemp("served")
    digest = store.save(small_chain.forecaster(), folder / "bundle")
    shutil.copy(MODEL_FILE, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            path=folder / "model",
            python_model=folder / MODEL_FILE.name,
            artifacts={"bundle": str(folder / "bundle")},
            model_config={"bundle_digest": digest},
            signature=signature_of(small_chain.params().problem),
            pip_requirements=[],
        )
        return mlflow.pyfunc.load_model(str(folder / "model"))


@pytest.fixture
def rows():
    return small_chain.asked().head(60)


@pytest.fixture
def expected(rows):
    return small_chain.forecaster().predict(rows).tolist()


def answered(served, body, content_type=JSON):
    """The forecasts of a request's body, by the function with which MLflow's scoring server answers."""
    response = scoring_server.invocations(body, content_type, served, served.metadata.get_input_schema())
    assert response.status == 200, response.response
    return [row["prediction"] for row in json.loads(response.response)["predictions"]]


def refused(served, body):
    with pytest.raises(MlflowException) as refusal:
        answered(served, body)
    assert refusal.value.get_http_status_code() == 400
    return refusal.value.serialize_as_json()


def split(rows, **more):
    return json.dumps({"dataframe_split": rows.to_dict("split", index=False)} | more)


def one_row(**changes):
    row = {"Store": 3, "Date": "2015-06-24", "Open": 1, "Promo": 1, "StateHoliday": "0", "SchoolHoliday": 0}
    return json.dumps({"dataframe_records": [row | changes]})


def test_pyfunc_takes_the_frames_that_pandas_users_have(served, rows, expected):
    dates = pd.to_datetime(rows["Date"])
    flags = ["Open", "Promo", "SchoolHoliday"]
    frames = {
        "text": rows,
        "datetime64": rows.assign(Date=dates),
        "seconds": rows.assign(Date=dates.astype("datetime64[s]")),
        "with a zone": rows.assign(Date=dates.dt.tz_localize("UTC")),
        "dates": rows.assign(Date=dates.dt.date),
        "nullable": rows.assign(Date=dates).convert_dtypes(),
        "pyarrow": rows.assign(Date=dates).convert_dtypes(dtype_backend="pyarrow"),
        "categories": rows.astype("category"),
        "booleans": rows.astype(dict.fromkeys(flags, bool)),
        "objects": rows.astype(object),
        "another index": rows.set_index("Date", drop=False),
        "other column order": rows[rows.columns[::-1]],
    }
    found = {name: served.predict(frame)["prediction"].tolist() for name, frame in frames.items()}
    assert found == dict.fromkeys(frames, expected)


def test_pyfunc_takes_a_csv_as_pandas_reads_it(served, tmp_path):
    """StateHoliday becomes an integer column where no holiday is in the file."""
    rows = small_chain.asked().query("StateHoliday == '0'").head(20)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    read = pd.read_csv(tmp_path / "rows.csv", parse_dates=["Date"])
    assert read["StateHoliday"].dtype.kind == "i"
    assert served.predict(read)["prediction"].tolist() == small_chain.forecaster().predict(rows).tolist()


def test_http_takes_the_json_that_pandas_and_javascript_write(served, rows, expected):
    with_times = rows.assign(Date=pd.to_datetime(rows["Date"]))
    iso = json.loads(with_times.to_json(orient="split", index=False, date_format="iso"))
    records = rows.assign(Date=rows["Date"] + "T00:00:00.000Z").to_dict("records")
    assert answered(served, split(rows)) == expected
    assert answered(served, json.dumps({"dataframe_split": iso})) == expected
    assert answered(served, json.dumps({"dataframe_records": records})) == expected
    assert answered(served, json.dumps({"inputs": rows.to_dict("list")})) == expected
    assert answered(served, json.dumps({"instances": records})) == expected


def test_http_takes_parquet(served, rows, expected):
    body = rows.assign(Date=pd.to_datetime(rows["Date"])).to_parquet()
    assert answered(served, body, scoring_server.CONTENT_TYPE_PARQUET) == expected


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"Date": "2015-06-24T10:00:00Z"}, "Date is 2015-06-24T10:00:00Z", DAY_FORM),
        ({"Date": 1435104000000}, "Date is 1435104000000", DAY_FORM),
        ({"Date": "2016-01-01"}, "Date is 2016-01-01", "dates from 2015-06-20 to 2015-09-11"),
        ({"Store": 4711}, "Store is 4711", "known values of Store: 12 from 1 to 12"),
        ({"Store": 10**400}, "Store is 1000", "known values of Store"),
        ({"Store": True}, "Store is True", "known values of Store"),
        ({"Promo": "yes"}, "Promo is yes", "Promo is 0 or 1"),
        ({"Open": 7}, "Open is 7", "Open is 0, 1 or missing"),
        ({"StateHoliday": {"a": 1}}, "StateHoliday is ", "StateHoliday is one of 0, a, b, c"),
    ],
)
def test_a_refusal_over_http_is_message_and_hint(served, changes, message, hint):
    body = json.loads(refused(served, one_row(**changes)))
    assert message in body["message"] and hint in body["message"]
    assert len(body["message"]) < 500
    assert sorted(body) == ["error_class", "error_code", "message", "sqlstate"]


def test_a_missing_column_is_refused_with_the_needed_ones(served, rows):
    body = refused(served, split(rows.drop(columns="Date")))
    assert "missing column Date" in body and "needed: Store, Date, Promo, StateHoliday, SchoolHoliday" in body


def test_a_confidence_out_of_range_is_refused_with_the_range(served, rows):
    body = refused(served, split(rows, params={"confidence": 80}))
    assert "the confidence is 80.0; a share above 0 and at most 0.999" in body


def test_a_refusal_repeats_neither_the_request_nor_a_path(served, rows):
    """MLflow's scoring server puts all rows of the request before a model's message."""
    many = pd.concat([rows] * 50).assign(Store=4711, StateHoliday="secret " * 1000)
    body = refused(served, split(many))
    assert len(body) < 1200
    assert not any(word in body for word in ("Traceback", ".py", "/", "Failed to predict data"))


def test_the_answer_has_three_columns_of_numbers(served, rows):
    """Spark picks the columns of a result by their type."""
    found = served.predict(rows, params={"confidence": 0.8})
    assert found.dtypes.to_dict() == dict.fromkeys(["prediction", "lower", "upper"], np.dtype("float64"))
    assert (found["lower"] <= found["prediction"]).all() and (found["prediction"] <= found["upper"]).all()
