"""A month of the prediction log moves to another disk, or out of the log: the statements of the page are executed."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import logged
import pytest
from sqlalchemy import make_url, text

from lockgate.database import predictions
from lockgate.database.connection import Database
from lockgate.stack import root_account

pytestmark = pytest.mark.long

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "prediction-log.md").read_text(encoding="utf-8")
TABLESPACE, DETACH = re.findall("```sql\n(.*?)```", PAGE.partition("### Old months elsewhere")[2], re.DOTALL)
Psql = Callable[..., str]


@pytest.fixture
def sql(psql: Psql, database_url: str) -> Callable[[str], str]:
    """Runs statements in the test's database, as its owner."""
    return lambda script: psql(script, str(make_url(database_url).database))


@pytest.fixture
def months(database: Database) -> Database:
    """A log with a prediction of March and two of April 2026."""
    predictions.insert(database, [logged.request(minutes=each) for each in (0, 60, 120)])
    return database


def count(database: Database) -> int:
    return len(predictions.last(database, logged.MODEL, {}, ["shop"], 10))


def test_a_query_with_limits_of_time_reads_its_months_alone(months: Database) -> None:
    query = "EXPLAIN SELECT * FROM lockgate.predictions WHERE at >= '2026-04-01Z' AND at < '2026-05-01Z'"
    with months.transaction() as connection:
        plan = "\n".join(connection.scalars(text(query)))
    assert set(re.findall(r"predictions_\d{4}_\d\d", plan)) == {"predictions_2026_04"}


def test_a_month_on_another_disk_is_read_as_before(months: Database, sql: Callable[[str], str], tmp_path: Path) -> None:
    disk = tmp_path / "slow disk"
    disk.mkdir(mode=0o700)
    os.chown(disk, root_account.user_id(), -1)
    statements = TABLESPACE.replace("/slow/postgres", str(disk)).strip().splitlines()
    for statement in statements:
        sql(statement)
    assert (count(months), any(disk.rglob("*"))) == (3, True)
    sql("ALTER TABLE lockgate.predictions_2026_03 SET TABLESPACE pg_default")
    sql("DROP TABLESPACE old_months")


def test_a_detached_month_is_out_of_the_log_and_a_late_prediction_makes_it_anew(
    months: Database, sql: Callable[[str], str]
) -> None:
    sql(DETACH)
    assert (count(months), sql("SELECT count(*) FROM archive.predictions_2026_03").strip()) == (2, "1")
    predictions.insert(months, [logged.request()])
    assert count(months) == 3
