"""`lockgate serve` beside plain `mlflow models serve` with the same version, in one run: requests/s, p50 and p99.

Usage: serving.py PROJECT, a folder with a version in Production and a running stack, such as `make demo` leaves. The
servers take turns: each case is measured on one after the other, in rounds, and the median of the rounds counts. Then
the parts of a request are measured in this process, and the features and boosters alone.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `lockgate serve` does, also for features and boosters alone

from lockgate.bundle import manifest, store
from lockgate.data import dataset
from lockgate.forecaster.answers import by_column
from lockgate.forecaster.raw_rows import ArrayRows
from lockgate.lifecycle.stages import Stage
from lockgate.prediction_log.record import Role
from lockgate.prediction_log.spool import Spool
from lockgate.problem.params import load_params
from lockgate.serving import answer_body, batch, log
from lockgate.serving.batch import Part
from lockgate.serving.exchange import Waiting
from lockgate.serving.live_version import LiveVersion
from lockgate.system import service_urls

CLIENT = Path(__file__).with_name("load_client.py")
BIN = Path(sys.executable).parent
CASES = ((1, 1), (1, 32), (100, 1), (100, 32), (10_000, 1), (10_000, 4))  # rows of a request, connections
ROUNDS, SECONDS, START_SECONDS = 3, 4.0, 120
Case = tuple[int, int]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--only", choices=["servers", "parts"])
    given = parser.parse_args()
    project = given.project.resolve()
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as folder:
        bodies = {rows: written(Path(folder, f"{rows}.json"), rows_of(project, rows)) for rows, _ in CASES}
        if given.only != "parts":
            show(servers(project, bodies, given.rounds, given.seconds))
        if given.only != "servers":
            show_parts(project, Path(folder))


def rows_of(project: Path, count: int) -> pd.DataFrame:
    """Rows of the holdout without the target, repeated if there are fewer."""
    problem = load_params(project / "params.yaml").problem
    rows = dataset.read(project / "data" / "prepared", "holdout").drop(columns=problem.target)
    return rows.iloc[np.resize(np.random.default_rng(1).permutation(len(rows)), count)].reset_index(drop=True)


def body_of(rows: pd.DataFrame) -> bytes:
    """The rows in the form dataframe_split, as the client of MLflow writes it."""
    dates = {name: rows[name].dt.strftime("%Y-%m-%d") for name in rows.select_dtypes("datetime")}
    split = json.loads(rows.assign(**dates).to_json(orient="split", index=False, double_precision=15))
    return json.dumps({"dataframe_split": split}).encode()


def written(path: Path, rows: pd.DataFrame) -> Path:
    path.write_bytes(body_of(rows))
    return path


def servers(
    project: Path, bodies: dict[int, Path], rounds: int, seconds: float
) -> dict[str, dict[Case, list[dict[str, float]]]]:
    """What each server did, by case and round."""
    model = load_params(project / "params.yaml").model_name
    plain = ["mlflow", "models", "serve", "-m", f"models:/{model}/Production", "--env-manager", "local", "--port"]
    commands = {
        "mlflow models serve": plain,
        "lockgate serve": ["lockgate", "serve", "--port"],
        "lockgate serve --no-log": ["lockgate", "serve", "--no-log", "--port"],
    }
    found: dict[str, dict[Case, list[dict[str, float]]]] = {name: {case: [] for case in CASES} for name in commands}
    with ExitStack() as running:
        running_at = {name: running.enter_context(server(project, words)) for name, words in commands.items()}
        for _ in range(rounds):
            for case in CASES:
                for name, at in running_at.items():
                    found[name][case].append(measured(at, case[1], seconds, bodies[case[0]]))
    return found


def measured(server: tuple[int, int], connections: int, seconds: float, body: Path) -> dict[str, float]:
    """What the load client measured, and the CPU time of the server for a request."""
    port, pid = server
    before = cpu_seconds(pid)
    found = asked(port, connections, seconds, body)
    return found | {"cpu_ms": (cpu_seconds(pid) - before) / found["requests"] * 1000}


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and those that it started."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@contextmanager
def server(project: Path, words: list[str]) -> Iterator[tuple[int, int]]:
    """The port and the process of a server that answers; it is stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    environment = {**os.environ, **service_urls.env(service_urls.find(project)), "PATH": f"{BIN}:{os.environ['PATH']}"}
    call = [str(BIN / words[0]), *words[1:], str(port)]
    process = subprocess.Popen(
        call, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for(port, process)
        yield port, process.pid
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("a server does not answer")


def asked(port: int, connections: int, seconds: float, body: Path) -> dict[str, float]:
    """What the load client measured."""
    words = [sys.executable, str(CLIENT), "127.0.0.1", str(port), str(connections), str(seconds), str(body)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=seconds + 120)
    found: dict[str, float] = json.loads(done.stdout)
    if found["failed"]:
        raise SystemExit(f"{found['failed']} requests failed")
    return found


def show(found: dict[str, dict[Case, list[dict[str, float]]]]) -> None:
    """Print a table in Markdown: the medians of the rounds, and the ratio of the requests per second."""
    print("| rows | connections | server | requests/s | rows/s | p50 ms | p99 ms | CPU ms | requests/s, ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    plain = next(iter(found.values()))
    for case in CASES:
        for name, by_case in found.items():
            medians = {key: statistics.median(each[key] for each in by_case[case]) for key in by_case[case][0]}
            pairs = zip(by_case[case], plain[case], strict=True)
            ratio = statistics.median(one["per_second"] / other["per_second"] for one, other in pairs)
            speed = medians["per_second"]
            numbers = f"{speed:,.1f} | {speed * case[0]:,.0f} | {medians['p50_ms']:.2f} | {medians['p99_ms']:.2f}"
            cpu = f"{medians['cpu_ms']:.2f}"
            print(f"| {case[0]:,} | {case[1]} | `{name}` | {numbers} | {cpu} | {ratio:.1f} |")


def show_parts(project: Path, folder: Path) -> None:
    """Print where the time of a request goes, in this process: 1 row and 10,000 rows, wall and CPU time in ms."""
    bundle = project / "build" / "bundle"
    live = LiveVersion("m", 1, "d", Stage.PRODUCTION, None, store.load(bundle, manifest.digest(bundle)))
    spool = Spool(folder / "spool", 8 << 30)
    counts = (1, 10_000)
    found = {count: parts(live, rows_of(project, count), spool) for count in counts}
    print("\n| part | 1 row, ms | 10,000 rows, ms | 10,000 rows, CPU ms |")
    print("|---|---|---|---|")
    for name in found[1]:
        wall, cpu = found[10_000][name]
        print(f"| {name} | {found[1][name][0]:.3f} | {wall:.2f} | {cpu:.2f} |")


def parts(live: LiveVersion, rows: pd.DataFrame, spool: Spool) -> dict[str, tuple[float, float]]:
    """The medians of each part in ms, in the order in which a request takes them, and the raw work beside them."""
    body, waiting = body_of(rows), Waiting(b"", "", None, lambda _: None)
    asked = live.reader.read(body, "application/json")
    table = batch.rows_of([asked])
    scored = batch.Scored(table, by_column(live.forecaster, table, 0.95))
    logged = log.rows_of(live, scored)
    request = log.request_of(waiting, log.scorer_of(live, Role.SERVED), 0.95, logged)
    work: dict[str, Callable[[], Any]] = {
        "read the body": partial(live.reader.read, body, "application/json"),
        "put the rows together": partial(batch.rows_of, [asked]),
        "answers (check, features, members, bounds)": partial(by_column, live.forecaster, table, 0.95),
        "rows for the log": partial(log.rows_of, live, scored),
        "spool: write and sync": partial(spool.append, [request]),
        "write the answer": lambda: answer_body.body(Part(batch.Scored(table, scored.answers), 0, len(rows))),
        **raw(live, table),
    }
    repeats = 300 if len(rows) == 1 else 15
    return {name: median_ms(each, repeats) for name, each in work.items()}


def raw(live: LiveVersion, table: ArrayRows) -> dict[str, Callable[[], Any]]:
    """Features and boosters of a panel alone, without any check."""
    forecaster: Any = live.forecaster
    known = forecaster.request.read(table).known
    matrix = forecaster.state.transform(known)
    threads = 1 if len(table) < 2000 else min(os.cpu_count() or 1, 4)
    members = {
        f"raw: {name}": partial(member.booster.raw, matrix.values, threads)
        for name, member in forecaster.boosters.items()
    }
    return {"raw: features": partial(forecaster.state.transform, known), **members}


def median_ms(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """The median wall time of some calls, after one, and that of the CPU time of all threads."""
    work()
    wall, cpu = [], []
    for _ in range(repeats):
        began, cpu_began = time.perf_counter(), time.process_time()
        work()
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - cpu_began) * 1000)
    return statistics.median(wall), statistics.median(cpu)


if __name__ == "__main__":
    main()
