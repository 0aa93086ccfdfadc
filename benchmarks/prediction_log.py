"""The log of predictions at its size: insert rate, bytes, and the queries of docs/how-to/prediction-log.md, as JSON.

    python benchmarks/prediction_log.py 2000000

Starts a stack of its own in a temporary folder and fills the log with predictions of the last 30 days: 1,115 stores,
two versions, 1 to 42 days ahead. Truth is known up to today. Every prediction goes the way of a real one: a logged
request, its record, COPY. The first 50,000 are requests of one row, the others of 1,000 rows.
"""

import itertools
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
from sqlalchemy import text

from lockgate.database import predictions, truth
from lockgate.database.connection import Database
from lockgate.operations import drain_log
from lockgate.prediction_log.encoding import encoded
from lockgate.prediction_log.record import LoggedRequest, LoggedRows, Role, Scorer
from lockgate.prediction_log.spool import Spool
from lockgate.prediction_log.truth_rows import TruthRow
from lockgate.stack import up_down
from lockgate.system import service_urls

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "prediction-log.md"
MODEL, STORES, DAYS, HORIZON = "rossmann-ensemble", 1115, 30, 42
ONE_ROW_REQUESTS, ROWS_OF_ONE = 50_000, 1_000
REPEATS = 5
SIZES = """
    SELECT sum(pg_total_relation_size(inhrelid)), sum(pg_indexes_size(inhrelid))
    FROM pg_inherits WHERE inhparent = 'lockgate.predictions'::regclass
"""
INDEXES = """
    SELECT parent.relname, sum(pg_relation_size(index.inhrelid))
    FROM pg_index JOIN pg_class AS parent ON parent.oid = indexrelid
    JOIN pg_inherits AS index ON index.inhparent = indexrelid
    WHERE indrelid = 'lockgate.predictions'::regclass
    GROUP BY 1 ORDER BY 1
"""


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as folder:
        up_down.up(Path(folder), tell=lambda line: print(line, file=sys.stderr))
        try:
            url = service_urls.read_state(Path(folder) / ".lockgate" / "stack.json").database_url
            print(json.dumps(measured(Database(url, 900, keep_connections=True), count, Path(folder)), indent=2))
        finally:
            up_down.down(Path(folder), tell=lambda _: None)


def measured(database: Database, count: int, folder: Path) -> dict[str, object]:
    """All figures, in the order of the work."""
    ones = min(count, ONE_ROW_REQUESTS)
    requests = made(count, ones)
    through_spool = seconds_of(lambda: spooled(database, list(itertools.islice(requests, ones)), folder))
    inserting = inserted(database, requests, count - ones)
    loading = seconds_of(lambda: load_truth(database))
    vacuum(database)
    size, indexes = read(database, SIZES)[0]
    return {
        "predictions": count,
        "one-row requests through the spool, a second": round(ones / through_spool),
        "rows of large requests inserted, a second": round((count - ones) / inserting) if inserting else None,
        "bytes a prediction": round(int(size) / count),
        "of these in indexes": round(int(indexes) / count),
        "bytes a prediction by index": {name: round(int(each) / count) for name, each in read(database, INDEXES)},
        "rows of truth loaded, a second": round(STORES * DAYS / loading),
        "queries": {name: timed(database, of_this_log(database, query)) for name, query in documented()},
    }


NAMED = "00000000-0000-4000-8000-000000000007"  # the request in the documented query


def of_this_log(database: Database, query: str) -> str:
    """The documented query, asking for a request that is on record."""
    [(request,)] = read(database, "SELECT request_id FROM lockgate.predictions LIMIT 1")
    return query.replace(NAMED, str(request))


def documented() -> list[tuple[str, str]]:
    """The queries of the page, each with the sentence before it."""
    blocks = re.findall(r"([^\n]+)\n\n```sql\n((?:SELECT|WITH).*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [(sentence.strip(), query) for sentence, query in blocks]


def made(count: int, ones: int) -> Iterator[LoggedRequest]:
    """Requests in the order of time, the last one now: first of one row, then of ROWS_OF_ONE."""
    draw, now = np.random.default_rng(7), datetime.now(UTC)
    sizes = itertools.chain(itertools.repeat(1, ones), itertools.repeat(ROWS_OF_ONE, (count - ones) // ROWS_OF_ONE))
    total, first = ones + (count - ones) // ROWS_OF_ONE * ROWS_OF_ONE, 0
    for number, size in enumerate(sizes):
        at = now - timedelta(days=DAYS) * (1 - first / total)
        scorer = Scorer(MODEL, 3 if first < total * 2 / 3 else 4, "ab" * 32, "Production", Role.SERVED)
        yield LoggedRequest(str(UUID(int=number)), None, at, scorer, 0.95, 1.5, rows(draw, at.date(), size))
        first += size


def rows(draw: np.random.Generator, today: date, size: int) -> LoggedRows:
    """Rows of any stores and days ahead."""
    stores, ahead = draw.integers(1, STORES + 1, size), draw.integers(1, HORIZON + 1, size)
    answers = draw.normal(7000, 2000, size)
    features = {
        "Store": stores,
        "Date": [f"{today + timedelta(days=days)}" for days in ahead.tolist()],
        "Open": np.ones(size),
        "Promo": np.ones(size, dtype=np.int64),
        "StateHoliday": ["0"] * size,
        "SchoolHoliday": np.zeros(size, dtype=np.int64),
    }
    number = (today - date(1970, 1, 1)).days
    return LoggedRows(
        size, features, {"Store": stores}, number + ahead, ahead, answers, answers - 1500.5, answers + 1500.5
    )


def spooled(database: Database, requests: list[LoggedRequest], folder: Path) -> None:
    """Through the spool, 32 requests with one fsync."""
    spool = Spool(folder / "spool")
    for first in range(0, len(requests), 32):
        spool.append(requests[first : first + 32])
    drain_log.drain(spool, database)


def inserted(database: Database, requests: Iterator[LoggedRequest], count: int) -> float:
    """Seconds in Postgres for the requests; making them does not count."""
    spent, done = 0.0, 0
    while batch := list(itertools.islice(requests, 10)):
        records = [each for request in batch for each in encoded(request)]
        spent += seconds_of(lambda records=records: predictions.insert_records(database, records))
        done += len(batch) * ROWS_OF_ONE
        if done % 500_000 == 0:
            print(f"{done:,} of {count:,} rows in {spent:.0f} s", file=sys.stderr)
    return spent


def load_truth(database: Database) -> None:
    """The truth of the last 30 days up to today."""
    today = (datetime.now(UTC).date() - date(1970, 1, 1)).days
    for day in range(today - DAYS + 1, today + 1):
        found = [TruthRow({"Store": store}, day, None, None, 7000.0, None) for store in range(1, STORES + 1)]
        truth.load(database, MODEL, found, "bench", "bench")


def vacuum(database: Database) -> None:
    """What the autovacuum of a real server has done before."""
    with database.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(
            text("VACUUM (ANALYZE) lockgate.predictions, lockgate.truth")
        )


def timed(database: Database, query: str) -> dict[str, object]:
    """The median of the milliseconds of a query, the rows that it gave, and the indexes that it used."""
    spent = sorted(seconds_of(lambda: read(database, query)) for _ in range(REPEATS))
    plan = "\n".join(str(row[0]) for row in read(database, f"EXPLAIN {query}"))
    used = sorted({re.sub(r"^predictions_\d{4}_\d\d_", "", name) for name in re.findall(r"using (\w+)", plan)})
    rows_found = len(read(database, query))
    return {"ms": round(spent[REPEATS // 2] * 1000, 1), "first ms": round(spent[-1] * 1000, 1), "rows": rows_found,
            "indexes": used}  # fmt: skip


def read(database: Database, query: str) -> list[tuple[object, ...]]:
    """The rows of a query."""
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query.replace(":", r"\:") if "{" in query else query))]


def seconds_of(work: Callable[[], object]) -> float:
    """How long the work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
