"""The two ways in that belong to MLflow: `mlflow run` and `mlflow models serve`."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from clone import PROJECT, Clone

pytestmark = pytest.mark.long


RAW_COLUMNS = ["Store", "Date", "Open", "Promo", "StateHoliday", "SchoolHoliday"]
BOUNDED = ["prediction", "lower", "upper"]
JSON = {"Content-Type": "application/json"}
README = (PROJECT / "README.md").read_text(encoding="utf-8")
START_SECONDS = 90


@pytest.fixture(scope="module")
def promoted(first_run: Clone, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which `mlflow run` did all: the pipeline, the promotion, a forecast of the holdout."""
    clone = first_run.copy(tmp_path_factory.mktemp("mlflow") / "a clone", "by_mlflow_run")
    _mlflow_run(clone)
    _mlflow_run(clone, "-e", "promote", "-P", "version=1", "-P", "reason=two words; it's $HOME")
    _mlflow_run(clone, "-e", "predict", "-P", "input=data/prepared/holdout.parquet", "-P", "output=build/forecast.csv")
    return clone


@pytest.fixture(scope="module")
def endpoint(promoted: Clone) -> Iterator[str]:
    """`mlflow models serve` on the version in Production."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    model = f"models:/{promoted.read('build/version.json')['model']}/Production"
    words = ["mlflow", "models", "serve", "-m", model, "--env-manager", "local", "--port", str(port)]
    with promoted.running(*words) as server:
        _wait_for(f"http://127.0.0.1:{port}/ping", server)
        yield f"http://127.0.0.1:{port}/invocations"


def test_mlflow_run_goes_from_raw_data_to_production(promoted: Clone) -> None:
    assert promoted.stages() == {1: "Production"}
    last = [row for row in promoted.lockgate("history", "--json").json() if row["kind"] == "move"][-1]
    assert (last["command"], last["reason"]) == ("promote", "two words; it's $HOME")
    found = pd.read_csv(promoted.folder / "build/forecast.csv")
    assert found[BOUNDED].notna().all(axis=None)
    assert (found["lower"] <= found["prediction"]).all() and (found["prediction"] <= found["upper"]).all()
    assert (found["lower"] < found["upper"])[found["prediction"] > 0].all()


def test_http_gives_the_same_numbers_as_lockgate_predict(promoted: Clone, endpoint: str) -> None:
    """A batch and a row alone, from the raw columns as Kaggle's test.csv has them."""
    rows = _raw_rows(promoted)
    expected = pd.read_csv(promoted.folder / "build/forecast.csv")[BOUNDED]
    assert _asked(endpoint, rows) == pytest.approx(expected.to_numpy(), rel=1e-9)
    place = int(expected["prediction"].to_numpy().argmax())
    assert _asked(endpoint, rows.iloc[[place]]) == pytest.approx(expected.iloc[[place]].to_numpy(), rel=1e-9)


def test_http_gives_the_bounds_of_the_confidence_that_is_asked_for(promoted: Clone, endpoint: str) -> None:
    rows = _raw_rows(promoted).query("Open == 1").head(3)
    usual, less = _asked(endpoint, rows), _asked(endpoint, rows, {"confidence": 0.8})
    assert (less[:, 0] == usual[:, 0]).all()
    assert (usual[:, 1] < less[:, 1]).all() and (less[:, 2] < usual[:, 2]).all()


def test_32_connections_at_once_are_all_answered_with_the_same_numbers(promoted: Clone, endpoint: str) -> None:
    """Batches of one and of many rows, mixed; the server scores them in threads of one process."""
    rows = _raw_rows(promoted).query("Open == 1")
    batches = [rows.iloc[start : start + size] for start in range(40) for size in (1, 3, 200)]
    expected = [_asked(endpoint, batch) for batch in batches]
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda batch: _asked(endpoint, batch), batches * 5))
    assert all(np.array_equal(one, other) for one, other in zip(found, expected * 5, strict=True))


@pytest.mark.parametrize("confidence", [0, 1, 80, "very"])
def test_http_refuses_a_confidence_without_bounds(promoted: Clone, endpoint: str, confidence: object) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        _asked(endpoint, _raw_rows(promoted).head(1), {"confidence": confidence})
    with refused.value as answer:
        assert answer.code == 400
        assert "confidence" in answer.read().decode()


def test_the_request_in_readme_is_answered(endpoint: str) -> None:
    body = README.split("-d '")[1].split("'")[0]
    request = urllib.request.Request(endpoint, body.encode(), JSON)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["predictions"][0]["prediction"] > 0


def test_http_refuses_a_row_that_cannot_be_forecast(promoted: Clone, endpoint: str) -> None:
    """400, and the server goes on answering."""
    rows = _raw_rows(promoted).head(2).assign(Store=[1, 4711])
    with pytest.raises(urllib.error.HTTPError) as refused:
        _asked(endpoint, rows)
    with refused.value as answer:
        assert answer.code == 400
        assert "4711" in answer.read().decode()
    assert len(_asked(endpoint, rows.head(1))) == 1


@pytest.mark.parametrize("kind", ["iso", "iso_with_zone", "plain"])
def test_http_takes_dates_as_usual_clients_write_them(promoted: Clone, endpoint: str, kind: str) -> None:
    rows = _raw_rows(promoted).head(3)
    written = {"iso": "T00:00:00.000", "iso_with_zone": "T00:00:00.000Z", "plain": ""}[kind]
    assert np.array_equal(_asked(endpoint, rows.assign(Date=rows["Date"] + written)), _asked(endpoint, rows))


@pytest.mark.parametrize(
    ("column", "value", "hint"),
    [
        ("Date", "2015-08-01T10:00:00Z", "write the date as 2015-08-01"),
        ("Promo", 1.7, "Promo is 0 or 1"),
        ("Promo", None, "Promo is 0 or 1"),
        ("StateHoliday", "x" * 9999, "StateHoliday is one of 0, a, b, c"),
    ],
)
def test_http_says_what_is_allowed_and_repeats_no_input(
    promoted: Clone, endpoint: str, column: str, value: object, hint: str
) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        _asked(endpoint, _raw_rows(promoted).head(1).assign(**{column: [value]}))
    with refused.value as answer:
        body = answer.read().decode()
        assert answer.code == 400
        assert hint in body
        assert len(body) < 500
        assert "Traceback" not in body and "SchoolHoliday" not in body


def test_pyfunc_takes_a_frame_with_timestamps_categories_and_nullable_numbers(promoted: Clone) -> None:
    code = """
import pandas as pd, mlflow, sys
rows = pd.read_csv("build/forecast.csv", dtype={"StateHoliday": str})
types = {"Date": "datetime64[ns]", "StateHoliday": "category", "Promo": "Int64", "Open": "boolean"}
model = mlflow.pyfunc.load_model(sys.argv[1])
print((model.predict(rows.astype(types)) - rows[["prediction", "lower", "upper"]]).abs().max().max() < 1e-6)
"""
    model = f"models:/{promoted.read('build/version.json')['model']}/Production"
    assert promoted.run("python", "-W", "ignore", "-c", code, model).out.split()[-1] == "True"


def _mlflow_run(clone: Clone, *words: str) -> None:
    clone.run("mlflow", "run", ".", "--env-manager", "local", *words)


def _raw_rows(clone: Clone) -> pd.DataFrame:
    rows = pd.read_csv(clone.folder / "build/forecast.csv", dtype={"StateHoliday": str})
    return rows[RAW_COLUMNS]


def _asked(endpoint: str, rows: pd.DataFrame, params: dict[str, object] | None = None) -> np.ndarray:
    """Prediction, lower and upper, a row each."""
    asked = {"dataframe_split": rows.to_dict("split", index=False)} | ({"params": params} if params else {})
    body = json.dumps(asked).encode()
    request = urllib.request.Request(endpoint, body, JSON)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return np.array([[row[name] for name in BOUNDED] for row in json.load(answer)["predictions"]])


def _wait_for(address: str, server: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not answer: {server.stdout.read() if server.poll() is not None else 'no answer'}")
