"""The observer: a process that reads the registry all the time, as readers do, and notes how many it finds live."""

import time
import warnings
from contextlib import suppress
from itertools import count
from typing import Any

import psycopg2

from chaos import raw
from chaos.journal import Journal
from chaos.raw import Told
from chaos.scene import Place
from chaos.worker import STOP

STEP_SECONDS = 0.03
EVERY_NTH_OVER_REST = 8
IN_PRODUCTION = "SELECT count(*) FROM model_versions WHERE name = %s AND current_stage = 'Production'"


def observe(place: Place) -> None:
    """Look until the file `stop` lies in the folder. Written down is what changed, and every look through MLflow."""
    warnings.simplefilter("ignore")
    diary = Journal(place.journals / "observer.jsonl")
    models = [place.params(problem).model_name for problem in place.problems]
    last: dict[str, int] = {}
    for turn in count():
        if (place.folder / STOP).exists():
            return
        for model in models:
            over_rest = turn % EVERY_NTH_OVER_REST == 0
            since = time.time()
            with suppress(psycopg2.Error, Told):
                found = by_rest(place, model) if over_rest else by_sql(place, model)
                if over_rest or last.get(model) != found:
                    last[model] = found
                    diary.write("seen", by="REST" if over_rest else "SQL", model=model, production=found, since=since)
        time.sleep(STEP_SECONDS)


def by_sql(place: Place, model: str) -> int:
    connection = place.sql()
    try:
        with connection.cursor() as cursor:
            cursor.execute(IN_PRODUCTION, [model])
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def by_rest(place: Place, model: str) -> int:
    """What MLflow's own list of versions says."""
    found: dict[str, Any] = raw.rest(
        place, "GET", "model-versions/search", filter=f"name = '{model}'", max_results=1000
    )
    return sum(version["current_stage"] == "Production" for version in found.get("model_versions", []))
