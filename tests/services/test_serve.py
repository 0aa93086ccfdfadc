"""`lockgate serve` on a real registry: protocol, refusals, headers, start and stop."""

import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import served_versions
import serving_process
from serving_process import Serving, body_of, serving

from lockgate.database import request_counts
from lockgate.database.connection import Database
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses


@pytest.fixture(scope="module")
def first(stack: Addresses) -> Workspace:
    """A model of this file; version 1, of seed 1, is in Production."""
    workspace = Workspace("served-ensemble", stack, Database(stack.database_url), "anna", 10.0)
    served_versions.put_in_production(workspace, 1)
    return workspace


@pytest.fixture(scope="module")
def server(
    first: Workspace, trained_project: Callable[[int], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """A server that no test stops or moves on."""
    params = trained_project(1) / "params.yaml"
    folder = serving_process.folder_for(first, params, tmp_path_factory.mktemp("served") / "a project")
    with serving(first, folder) as found:
        yield found


@pytest.fixture
def folder(backend: Workspace, trained_project: Callable[[int], Path], tmp_path: Path) -> Path:
    """A folder of this test's own model."""
    return serving_process.folder_for(backend, trained_project(1) / "params.yaml", tmp_path / "a project")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Rows that can be forecast, without their target."""
    return served_versions.rows()


def test_each_form_of_the_protocol_gives_the_numbers_of_the_version(server: Serving, rows: pd.DataFrame) -> None:
    few = rows.head(7)
    expected = served_versions.expected(1, few)
    split = body_of(few)["dataframe_split"]
    records = [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
    columns = {name: [record[name] for record in records] for name in split["columns"]}
    for body in (
        {"dataframe_split": split},
        {"dataframe_records": records},
        {"instances": records},
        {"inputs": columns},
    ):
        answer = server.ask(body)
        assert (answer.status, answer.version, answer.json) == (200, 1, {"predictions": expected})
    csv = few.to_csv(index=False).encode()
    assert server.ask(csv, Content_Type="text/csv").json == {"predictions": expected}
    turned = server.ask({"instances": [dict(reversed(record.items())) | {"note": 1} for record in records]})
    assert turned.json == {"predictions": expected}
    assert turned.headers["x-lockgate-ignored-columns"] == "note"
    less = served_versions.expected(1, few, 0.8)
    assert server.ask({"instances": records, "params": {"confidence": 0.8}}).json["predictions"] == less


def test_headers_name_the_version_and_the_request(server: Serving, rows: pd.DataFrame, first: Workspace) -> None:
    live = first.state().serving()
    answer = server.ask(body_of(rows.head(1)), X_Request_Id="order-7/a")
    names = ("version", "digest", "stage")
    assert [answer.headers[f"x-lockgate-{name}"] for name in names] == ["1", live.bundle_digest, "Production"]
    assert answer.headers["x-request-id"] == "order-7/a"
    made = [
        server.ask(body_of(rows.head(1)), X_Request_Id=given).headers["x-request-id"] for given in ("a b", "x" * 129)
    ]
    assert len({*made, "a b"}) == 3
    assert all(len(each) == 36 for each in made)
    health = server.get("/health").json
    assert (health["version"], health["digest"], health["stage"]) == (1, live.bundle_digest, "Production")
    assert (server.get("/ping").status, server.get("/version").json["version"]) == (200, 1)


def test_rows_that_cannot_be_forecast_are_listed_without_their_values(server: Serving, rows: pd.DataFrame) -> None:
    bad = rows.head(3).assign(Store=[1, 4711, 2], Promo=[0, 1.7, 7])
    answer = server.ask(body_of(bad))
    assert answer.status == 422
    assert [(each["row"], each["column"]) for each in answer.json["rows"]] == [(1, "Store"), (1, "Promo"), (2, "Promo")]
    assert answer.json["rows"][1]["allowed"] == "Promo is 0 or 1"
    assert b"4711" not in answer.body and b"1.7" not in answer.body


def test_a_missing_column_and_another_method_are_refused(server: Serving, rows: pd.DataFrame) -> None:
    answer = server.ask(body_of(rows.head(1).drop(columns="Store")))
    assert (answer.status, answer.json["message"].split(";")[0]) == (400, "missing column Store")
    assert server.get("/invocations").status == 405
    assert server.get("/nothing").status == 404


def test_sigterm_ends_the_server_and_the_port_is_closed(
    backend: Workspace, folder: Path, trained_project: Callable[[int], Path], rows: pd.DataFrame
) -> None:
    served_versions.put_in_production(backend, 1)
    with serving(backend, folder) as server:
        with closing(server.connect()) as stays_open:
            assert serving_process.ask(stays_open, body_of(rows.head(1))).status == 200
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=30) == 143
        with pytest.raises(OSError):
            server.get("/ping")


def test_without_production_the_server_does_not_start(backend: Workspace, folder: Path) -> None:
    done = serving_process.command(backend, folder, "serve", "--port", "0")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        5,
        f"error: no version of {backend.model} is in Production",
    )


def test_numbers_are_those_of_mlflow_served_model(server: Serving, first: Workspace, rows: pd.DataFrame) -> None:
    import mlflow

    mlflow.set_tracking_uri(first.addresses.tracking_uri)
    mlflow.set_registry_uri(first.addresses.tracking_uri)
    expected = mlflow.pyfunc.load_model(f"models:/{first.model}/1").predict(rows)
    found = pd.DataFrame(server.ask(body_of(rows)).json["predictions"])
    assert list(found) == list(expected)
    assert np.array_equal(found.to_numpy(), expected.to_numpy())


def test_a_large_body_many_rows_and_a_slow_client_are_refused(server: Serving, rows: pd.DataFrame) -> None:
    too_large = server.ask(b"x" * (33 << 20))
    assert (too_large.status, too_large.headers["connection"]) == (413, "close")
    many = {"instances": [{}] * 100_001}
    assert server.ask(many).status in (400, 413)
    split = body_of(rows.head(1))["dataframe_split"]
    assert server.ask({"dataframe_split": split | {"data": split["data"] * 100_001}}).status == 413
    with closing(server.connect()) as slow, socket.create_connection(("127.0.0.1", server.port), 60) as slower:
        slower.sendall(b"POST /invocations HTTP/1.1\r\nHost: loc")
        slow.putrequest("POST", "/invocations")
        slow.putheader("Content-Type", "application/json")
        slow.putheader("Content-Length", "100")
        slow.endheaders()
        slow.send(b"{")
        assert serving_process.answer_of(slow).status == 408
        with suppress(ConnectionResetError):
            assert slower.recv(1) == b""
    assert server.ask(body_of(rows.head(1))).status == 200


def test_a_page_of_another_host_is_refused(server: Serving, rows: pd.DataFrame) -> None:
    body = body_of(rows.head(1))
    assert server.ask(body, Host="evil.example").status == 403
    assert server.ask(body, Origin="http://evil.example").status == 403
    own = f"localhost:{server.port}"
    assert server.ask(body, Host=own, Origin=f"http://{own}").status == 200


def test_openapi_describes_the_columns_of_the_problem_and_metrics_count_requests(
    server: Serving, rows: pd.DataFrame
) -> None:
    document = server.get("/openapi.json").json
    row = document["components"]["schemas"]["Row"]
    assert row["required"] == ["Store", "Date", "Promo", "StateHoliday", "SchoolHoliday"]
    assert row["properties"]["Promo"]["enum"] == [0, 1]
    assert row["properties"]["StateHoliday"]["enum"] == ["0", "a", "b", "c"]
    server.ask(body_of(rows.head(3)))
    text = server.get("/metrics").body.decode()
    assert 'lockgate_requests_total{status="200"}' in text
    assert 'lockgate_version_info{digest="' in text
    assert "lockgate_spool_bytes" in text and "lockgate_batch_requests_bucket" in text


def test_without_the_registry_the_verified_copy_answers_and_says_so(
    first: Workspace, server: Serving, rows: pd.DataFrame
) -> None:
    """The server of this file has kept the copy in its folder when it started."""
    without = replace(first, addresses=Addresses("http://127.0.0.1:9", first.addresses.database_url))
    with serving(without, server.folder) as degraded:
        assert any(line.startswith("DEGRADED: version 1") for line in degraded.lines)
        answer = degraded.ask(body_of(rows.head(2)))
        assert answer.json["predictions"] == served_versions.expected(1, rows.head(2))
        assert "version 1" in answer.headers["x-lockgate-degraded"]
        assert "version 1" in degraded.get("/health").json["degraded"]
    done = serving_process.command(without, server.folder, "serve", "--port", "0", "--no-fallback")
    assert done.returncode == 6


def test_answers_are_counted_in_postgres_by_status(server: Serving, rows: pd.DataFrame, first: Workspace) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)

    def counted() -> Counter[int]:
        found = request_counts.since(first.database, first.model, since)
        return sum((Counter({each.status: each.requests}) for each in found), Counter())

    server.ask(body_of(rows.head(1)))
    server.ask(body_of(rows.head(1).assign(Store=4711)))
    deadline = time.monotonic() + serving_process.SECONDS
    while not {200, 422} <= counted().keys():
        assert time.monotonic() < deadline, counted()
        time.sleep(0.1)
