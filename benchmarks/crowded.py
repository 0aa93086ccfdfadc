"""What a promotion costs the server when the registry is full, printed as JSON; bench.py runs it beside its stack.

    python benchmarks/crowded.py VERSIONS PROMOTED SWAPS

Fills one model with versions by SQL, lets some of them live through Staging and Production one after the other, so that
the ledger is long as well, and then swaps Production over MLflow's REST API, with the guard on and with it off.
"""

import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import text

from lockgate.database import guard, policies
from lockgate.database.connection import Database
from lockgate.problem.params import PARAMS_FILE, Policy, load_params
from lockgate.system import service_urls

MODEL = "crowded"
MAKE_MODEL = "INSERT INTO public.registered_models (workspace, name) VALUES ('default', :model)"
MAKE_VERSIONS = """
    INSERT INTO public.model_versions (workspace, name, version, creation_time, current_stage, run_id, source)
    SELECT 'default', :model, number, 1700000000000, 'None', 'run-' || number, 'models:/m-' || number
    FROM generate_series(1, :versions) AS number
"""
RECORD_VERSIONS = """
    INSERT INTO lockgate.versions (model, version, bundle_digest, run_id, source)
    SELECT name, version, encode(sha256(version::text::bytea), 'hex'), run_id, source
    FROM public.model_versions WHERE name = :model
"""
JUDGE_EACH_AGAINST_THE_ONE_BEFORE = """
    INSERT INTO lockgate.verdicts
        (model, version, bundle_digest, holdout_digest, policy_digest, serving_digest, outcome, checks, metrics,
         code_commit, actor)
    SELECT model, version, bundle_digest, bundle_digest, :policy,
           CASE WHEN version > 1 THEN encode(sha256((version - 1)::text::bytea), 'hex') END,
           'passed', '[{"name": "limit"}]', '{}', 'c0ffee', 'bench'
    FROM lockgate.versions WHERE model = :model
"""
MOVE = "UPDATE public.model_versions SET current_stage = :stage WHERE name = :model AND version = :version"


def main() -> None:
    """Print the milliseconds of each swap to Production, with and without the guard."""
    versions, promoted, swaps = map(int, sys.argv[1:])
    found = service_urls.find(Path.cwd())
    database = Database(found.database_url, timeout=300)
    fill(database, versions, load_params(PARAMS_FILE).policy)
    for version in range(1, promoted + 1):
        live(database, version)
    guarded = [swap(found.tracking_uri, version) for version in range(promoted + 1, promoted + swaps + 1)]
    guard.remove(database, "bench")
    bare = [swap(found.tracking_uri, version) for version in range(promoted + swaps + 1, promoted + 2 * swaps + 1)]
    guard.install(database, "bench")
    print(json.dumps({"guarded": guarded, "bare": bare}))


def fill(database: Database, versions: int, policy: Policy) -> None:
    """Versions in None, each with a passed verdict against the one before it."""
    digest = policies.put_in_force(database, MODEL, policy, "bench")
    with database.transaction() as connection:
        values = {"model": MODEL, "versions": versions, "policy": digest}
        for statement in (MAKE_MODEL, MAKE_VERSIONS, RECORD_VERSIONS, JUDGE_EACH_AGAINST_THE_ONE_BEFORE):
            connection.execute(text(statement), values)


def live(database: Database, version: int) -> None:
    """Through Staging to Production, in the place of the one before."""
    for moves in ([(version, "Staging")], [(version - 1, "Archived"), (version, "Production")]):
        with database.transaction() as connection:
            for number, stage in moves:
                connection.execute(text(MOVE), {"model": MODEL, "version": number, "stage": stage})


def swap(tracking_uri: str, version: int) -> float:
    """Milliseconds in which the server answers the transition to Production; the one to Staging is not counted."""
    _transition(tracking_uri, version, "Staging")
    return _transition(tracking_uri, version, "Production")


def _transition(tracking_uri: str, version: int, stage: str) -> float:
    connection = http.client.HTTPConnection(urlsplit(tracking_uri).netloc, timeout=60)
    body = {"name": MODEL, "version": str(version), "stage": stage, "archive_existing_versions": True}
    started = time.perf_counter()
    path = "/api/2.0/mlflow/model-versions/transition-stage"
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    took = (time.perf_counter() - started) * 1e3
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"error: the server answered {answer.status}: {said[:300]!r}")
    return took


if __name__ == "__main__":
    main()
