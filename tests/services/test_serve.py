"""`lockgate serve` on a real registry: protocol, refusals, headers, start and stop."""

import gzip
import re
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import served_versions
import serving_process
from serving_process import Serving, body_of, serving

from lockgate.database import predictions, request_counts
from lockgate.database.connection import Database
from lockgate.errors import StateConflict, WrongUsage
from lockgate.forecaster.explanation_records import explained
from lockgate.lifecycle.stages import Stage
from lockgate.operations import explain
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


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_an_answer_leaves_after_its_log_is_synced_to_disk(server: Serving, rows: pd.DataFrame, tmp_path: Path) -> None:
    calls = "trace=fsync,fdatasync,write,writev,sendto,sendmsg"
    words = ["strace", "-f", "-y", "-e", calls, "-o", str(tmp_path / "trace"), "-p", str(server.process.pid)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr
        if "attached" not in tracer.stderr.readline():
            pytest.skip("this machine lets no process be traced")
        assert [server.ask(body_of(rows.head(1))).status for _ in range(5)] == [200] * 5
        tracer.send_signal(signal.SIGINT)
    *before, _ = (tmp_path / "trace").read_text().split('"HTTP/1.1 200')
    assert len(before) == 5
    assert all(re.search(r"sync\(.*predictions\.sqlite-wal", calls) for calls in before)


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


@pytest.mark.parametrize(
    "head",
    [b"X-Long: " + b"a" * (9 << 20), b"X-Many: 1\r\n" * (1 << 20), b"X-Never-Ends: " + b"a" * (1 << 20)],
    ids=["one long header", "many headers", "no end"],
)
def test_headers_that_are_too_large_are_refused_before_they_fill_the_memory(server: Serving, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        with suppress(ConnectionError):  # the server does not read them to their end
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n" + head)
        with suppress(ConnectionError):
            assert client.recv(1 << 16).split(b"\r\n")[0] in (b"HTTP/1.1 431 Request Header Fields Too Large", b"")
            assert client.recv(1) == b""
    assert server.get("/ping").status == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
def test_a_compressed_body_is_refused_and_not_unpacked(server: Serving, coding: str) -> None:
    answer = server.ask(gzip.compress(bytes(100 << 20)), Content_Encoding=coding)
    assert (answer.status, answer.json["message"]) == (
        415,
        "the body is compressed; send it without Content-Encoding",
    )


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST /invocations HTTP/1.1\r\nContent-Length: -5",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 3",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"POST /invocations HTTP/1.1\r\nContent-Length: 99999999999999999999999",
        b"GET /ping HTTP/1.1\r\nX-A: a\x00b",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
    ids=["negative", "two lengths", "length and chunks", "no number", "NUL", "TLS"],
)
def test_a_request_that_two_servers_could_read_otherwise_ends_the_connection(
    server: Serving, request_line: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 60) as client:
        client.sendall(request_line + b"\r\nHost: localhost\r\n\r\nabcde")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 400")
        assert client.recv(1) == b""
    assert server.get("/ping").status == 200


def test_an_ignored_column_cannot_add_a_header(server: Serving, rows: pd.DataFrame) -> None:
    split = body_of(rows.head(1))["dataframe_split"]
    [row] = split["data"]
    name = "a\r\nSet-Cookie: stolen=1\r\n\r\n\u202e\x1b"
    answer = server.ask({"dataframe_split": split | {"columns": [*split["columns"], name], "data": [[*row, 1]]}})
    assert answer.status == 200
    assert "set-cookie" not in answer.headers
    assert answer.headers["x-lockgate-ignored-columns"] == "a%0D%0ASet-Cookie%3A stolen%3D1%0D%0A%0D%0A%E2%80%AE%1B"


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


def test_with_explain_each_answer_says_what_moved_it_and_the_forecast_stays_the_same(
    server: Serving, rows: pd.DataFrame
) -> None:
    few = rows[(rows["Open"] == 1) & (rows["Promo"] == 1)].head(3)
    answer = server.ask(body_of(few, params={"explain": True, "confidence": 0.8}))
    assert answer.status == 200
    explanations = [each.pop("explanation") for each in answer.json["predictions"]]
    assert explanations == explained(served_versions.forecaster(1), few, np.arange(3))
    found = [
        {name: value for name, value in each.items() if name != "explanation"} for each in answer.json["predictions"]
    ]
    assert found == served_versions.expected(1, few, 0.8)
    assert [each["forecast"] for each in explanations] == [each["prediction"] for each in found]
    assert all("explanation" not in each for each in server.ask(body_of(few)).json["predictions"])


def test_explanations_of_too_many_rows_and_other_params_are_refused(server: Serving, rows: pd.DataFrame) -> None:
    many = server.ask(body_of(rows.head(101), params={"explain": True}))
    assert (many.status, many.json["message"].split(";")[0]) == (422, "at most 100 rows of a request are explained")
    assert server.ask(body_of(rows.head(1), params={"explain": 1})).status == 400
    assert server.ask(body_of(rows.head(1), params={"explain": True, "more": 1})).status == 400
    bad = server.ask(body_of(rows.head(1).assign(Store=4711), params={"explain": True}))
    assert (bad.status, bad.json["rows"][0]["column"]) == (422, "Store")


def test_mlflow_serves_the_same_explanations(server: Serving, first: Workspace, rows: pd.DataFrame) -> None:
    import mlflow

    mlflow.set_tracking_uri(first.addresses.tracking_uri)
    mlflow.set_registry_uri(first.addresses.tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/{first.model}/1")
    found = model.predict(rows.head(2), {"explain": True})
    assert found["explanation"].tolist() == explained(served_versions.forecaster(1), rows.head(2), np.arange(2))
    with pytest.raises(mlflow.MlflowException, match="at most 100 rows"):
        model.predict(rows.head(101), {"explain": True})


def test_the_command_explains_a_row_of_a_file_in_words_and_as_a_plot(
    server: Serving, first: Workspace, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    place = int(np.flatnonzero((rows["Open"] == 1) & (rows["Promo"] == 1) & (rows["Store"] == 3))[0])
    day, plot = str(rows["Date"].iloc[place].date()), tmp_path / "one.png"
    choice = ("--key", "Store=3", "--date", day, "--top", "2", "--plot", str(plot))
    done = serving_process.command(first, server.folder, "explain", "--input", str(tmp_path / "rows.parquet"), *choice)
    assert done.returncode == 0, done.stderr
    [expected] = explained(served_versions.forecaster(1), rows, np.array([place]))
    head, *lines = done.stdout.splitlines()
    assert head == f"row {place + 1}, Store 3, Date {day}: Sales: {expected['forecast']:,.0f}"
    assert any(line.startswith("  Promo = 1 raises the forecast by") for line in lines)
    assert lines[-1] == f"  together: {expected['forecast']:,.0f}"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_rows_are_chosen_by_number_key_and_period_and_others_are_refused(
    first: Workspace, rows: pd.DataFrame, tmp_path: Path
) -> None:
    file, problem = tmp_path / "rows.parquet", served_versions.forecaster(1).problem
    rows.to_parquet(file, index=False)

    def numbers(**chosen: Any) -> list[int]:
        order = explain.Order(problem, file, None, explain.Chosen(**chosen))
        return [row.number for row in explain.explain(first, order, Stage.PRODUCTION).rows]

    def places(which: Any) -> list[int]:
        return (np.flatnonzero(which) + 1).tolist()

    assert numbers(numbers=(7, 2)) == [2, 7]
    assert numbers(keys={"Store": ("3",)}) == places(rows["Store"] == 3)
    assert numbers(keys={"Store": ("3", "5.0")}) == places(rows["Store"].isin([3, 5]))
    day = rows["Date"].iloc[0]
    assert numbers(keys={"Store": ("3",)}, time=str(day.date())) == places((rows["Store"] == 3) & (rows["Date"] == day))
    for wrong in ({"numbers": (100_000,)}, {"keys": {"Shop": ("1",)}}, {"time": "never"}):
        with pytest.raises(WrongUsage):
            numbers(**wrong)
    for request, error in (("7", WrongUsage), ("00000000-0000-0000-0000-000000000000", StateConflict)):
        with pytest.raises(error):
            explain.explain(first, explain.Order(problem, None, request, explain.Chosen()), Stage.PRODUCTION)


def test_a_logged_request_is_explained_by_the_version_that_answered(
    server: Serving, first: Workspace, rows: pd.DataFrame
) -> None:
    few = rows[rows["Open"] == 1].head(2)
    answer = server.ask(body_of(few))
    request, deadline = answer.headers["x-lockgate-request-id"], time.monotonic() + serving_process.SECONDS
    while not predictions.of_request(first.database, first.model, request):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    order = explain.Order(served_versions.forecaster(1).problem, None, request, explain.Chosen())
    done = explain.explain(first, order, Stage.STAGING)
    assert [row.record["forecast"] for row in done.rows] == [each["prediction"] for each in answer.json["predictions"]]
    assert (done.version, done.remarks) == (1, ())


def test_a_drain_that_was_killed_is_started_again_and_ends_with_a_killed_server(
    backend: Workspace, folder: Path, rows: pd.DataFrame
) -> None:
    served_versions.put_in_production(backend, 1)
    with serving(backend, folder) as server:
        drain = _drain_of(server)
        drain.kill()
        server.wait_for_line("the drain of the prediction log ended with -9; it is started again")
        server.ask(body_of(rows.head(3)))
        assert _logged(backend, 3) == 3
        again = _drain_of(server)
        server.process.kill()
    until = time.monotonic() + serving_process.SECONDS
    while again.is_running() and again.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.05)


def _logged(backend: Workspace, wanted: int) -> int:
    """The number of rows that Postgres has, as soon as it is as wanted."""
    until, found = time.monotonic() + serving_process.SECONDS, 0
    while found < wanted and time.monotonic() < until:
        time.sleep(0.1)
        found = len(predictions.last(backend.database, backend.model, {}, ("Store",), wanted + 1))
    return found


def _drain_of(server: Serving) -> psutil.Process:
    """The process that drains the spool, as soon as it runs."""
    until = time.monotonic() + serving_process.SECONDS
    while time.monotonic() < until:
        children = psutil.Process(server.process.pid).children()
        found = [each for each in children if any("spawn_main" in word for word in each.cmdline())]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no process drains the spool")
