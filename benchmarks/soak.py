"""`python benchmarks/soak.py [MINUTES]`: lockgate serve under load while Production changes: errors, losses, leaks.

Works in a temporary copy with a stack of its own, as bench.py does. Clients ask for forecasts without a pause, and a
rollback changes Production every few seconds. Each answer is compared with what the version in its headers computes.
"""

import http.client
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bench
import mlflow
import numpy as np
import pandas as pd
import psutil
import psycopg2

MINUTES, CLIENTS, SECONDS_OF_A_VERSION, SAMPLE_SECONDS = 10.0, 4, 5.0, 10.0
POOL, MOST_ROWS = 300, 20
SIZES = (1, 1, 1, MOST_ROWS)
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
DOUBLED = """
    SELECT count(*), count(*) - count(DISTINCT (request_id, "row")) FROM lockgate.predictions WHERE role = 'served'
"""


@dataclass
class Tally:
    """What the clients saw."""

    rows: int = 0
    requests: int = 0
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)


def main(minutes: float) -> None:
    """Measure and print. Ends with 1 if a request failed, an answer was wrong, or a prediction is lost or doubled."""
    with tempfile.TemporaryDirectory(prefix="lockgate-soak-") as name:
        folder = Path(name, "a copy")
        bench.copy_project(folder)
        try:
            bench.run(folder, "lockgate", "up")
            versions = _two_versions(folder)
            sys.exit(_soak(folder, versions, minutes))
        finally:
            bench.run(folder, "lockgate", "down")


def _two_versions(folder: Path) -> tuple[int, int]:
    """Two versions that were in Production, so that rollbacks swap them."""
    found = []
    for seed in (7, 8):
        params = folder / "params.yaml"
        params.write_text(re.sub(r"^seed: \d+", f"seed: {seed}", params.read_text(), flags=re.MULTILINE))
        bench.run(folder, "dvc", "repro")
        bench.run(folder, "lockgate", "promote", "--reason", "soak", "--yes")
        found.append(json.loads((folder / "build/version.json").read_text())["version"])
    return found[0], found[1]


def _soak(folder: Path, versions: tuple[int, int], minutes: float) -> int:
    rows = pd.read_parquet(folder / "data/prepared/holdout.parquet")[list(bench.RAW_COLUMNS)].sample(
        POOL, random_state=1
    )
    rows = rows.assign(Date=rows["Date"].astype(str)).reset_index(drop=True)
    tally, over = Tally(), threading.Event()
    with _served(folder) as (port, process):
        expected = _expected(folder, rows, versions)
        threads = [threading.Thread(target=_ask, args=(port, rows, expected, tally, over)) for _ in range(CLIENTS)]
        swapper = threading.Thread(target=_swap, args=(folder, versions, over))
        for thread in (*threads, swapper):
            thread.start()
        samples = list(_samples(folder, process, tally, minutes))
        over.set()
        for thread in (*threads, swapper):
            thread.join()
    return _tell(folder, samples, tally)


@contextmanager
def _served(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    words = [sys.executable, "-m", "lockgate", "serve", "--port", "0"]
    process = subprocess.Popen(words, cwd=folder, env=bench.environment(folder), stderr=subprocess.PIPE, text=True)
    lines = process.stderr or iter(())
    line = next((line for line in lines if "answers at" in line), "")
    if not line:
        sys.exit("error: the server did not start")
    threading.Thread(target=lambda: list(lines), daemon=True).start()
    try:
        yield int(line.rsplit(":", 1)[1]), psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _expected(folder: Path, rows: pd.DataFrame, versions: tuple[int, int]) -> Mapping[int, np.ndarray]:
    """What each version computes for the rows, by MLflow's own way."""
    mlflow.set_tracking_uri(_env(folder)["MLFLOW_TRACKING_URI"])
    model = json.loads((folder / "build/version.json").read_text())["model"]
    return {
        version: mlflow.pyfunc.load_model(f"models:/{model}/{version}").predict(rows)["prediction"].to_numpy()
        for version in versions
    }


def _env(folder: Path) -> dict[str, str]:
    lines = bench.output(folder, "lockgate", "env").splitlines()
    return dict(line.removeprefix("export ").replace("'", "").split("=", 1) for line in lines if "=" in line)


def _ask(
    port: int, rows: pd.DataFrame, expected: Mapping[int, np.ndarray], tally: Tally, over: threading.Event
) -> None:
    draw, connection = np.random.default_rng(), http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not over.is_set():
        count = int(draw.choice(SIZES))
        first = int(draw.integers(POOL - count))
        body = json.dumps({"dataframe_split": rows.iloc[first : first + count].to_dict("split", index=False)})
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            with connection.getresponse() as reply:
                status, headers, content = reply.status, reply.headers, reply.read()
        except OSError as error:
            tally.failed.append(repr(error))
            continue
        if status != http.HTTPStatus.OK:
            tally.failed.append(f"{status} {content[:200]!r}")
            continue
        version = int(headers["x-lockgate-version"])
        found = [each["prediction"] for each in json.loads(content)["predictions"]]
        if found != expected[version][first : first + count].tolist():
            tally.wrong.append(f"version {version}, rows from {first}")
        tally.versions.add(version)
        tally.requests += 1
        tally.rows += count


def _swap(folder: Path, versions: tuple[int, int], over: threading.Event) -> None:
    for version in itertools.cycle(versions):
        if over.wait(SECONDS_OF_A_VERSION):
            return
        bench.run(folder, "lockgate", "rollback", "--to", str(version), "--reason", "soak", "--yes")


def _samples(folder: Path, process: psutil.Process, tally: Tally, minutes: float) -> Iterator[dict[str, Any]]:
    print(f"{'s':>6}{'requests':>10}{'MiB':>8}{'files':>7}{'threads':>9}{'sessions':>10}{'spool KiB':>11}", flush=True)
    started = time.monotonic()
    while time.monotonic() - started < 60 * minutes:
        time.sleep(SAMPLE_SECONDS)
        family = [process, *process.children(recursive=True)]
        sample = {
            "s": round(time.monotonic() - started),
            "requests": tally.requests,
            "MiB": sum(each.memory_info().rss for each in family) / 2**20,
            "files": sum(each.num_fds() for each in family),
            "threads": sum(each.num_threads() for each in family),
            "sessions": _query(folder, SESSIONS)[0],
            "spool KiB": sum(path.stat().st_size for path in folder.glob(".lockgate/spool/**/*") if path.is_file())
            / 1024,
        }
        print(
            f"{sample['s']:>6}{sample['requests']:>10}{sample['MiB']:>8.0f}{sample['files']:>7}{sample['threads']:>9}"
            f"{sample['sessions']:>10}{sample['spool KiB']:>11.0f}",
            flush=True,
        )
        yield sample


def _query(folder: Path, statement: str) -> tuple[Any, ...]:
    url = _env(folder)["LOCKGATE_DATABASE_URL"].replace("postgresql+psycopg2", "postgresql")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        found: tuple[Any, ...] = cursor.fetchone()
    connection.close()
    return found


def _tell(folder: Path, samples: list[dict[str, Any]], tally: Tally) -> int:
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    for name in ("MiB", "files", "threads", "sessions"):
        earlier, later = (float(np.mean([sample[name] for sample in part])) for part in (middle, last))
        print(f"{name:<10} mean of the second third {earlier:.1f}, of the last third {later:.1f}")
    bench.run(folder, "lockgate", "log", "drain")
    stored, doubled = _query(folder, DOUBLED)
    print(f"{tally.requests:,} requests, {tally.rows:,} rows, versions {sorted(tally.versions)}")
    print(f"failed {len(tally.failed)}, wrong {len(tally.wrong)}, rows on record {stored:,}, doubled {doubled}")
    for each in (*tally.failed[:5], *tally.wrong[:5]):
        print(f"  {each}")
    return int(bool(tally.failed or tally.wrong or doubled) or stored != tally.rows)


if __name__ == "__main__":
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    main(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES)
