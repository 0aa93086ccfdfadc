"""python -m chaos.serving: servers and Postgres are killed while clients ask for forecasts; then all is judged."""

import argparse
import http.client
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pandas as pd
import serving_process

from chaos import answers, faults, scene, worker
from chaos.answers import Acknowledged, Answers, Stored
from chaos.faults import Target
from chaos.journal import Journal, Outcome
from chaos.rules import Violation
from chaos.scene import Place, Scene
from lockgate.bundle import manifest, store
from lockgate.operations import drain_log
from lockgate.prediction_log.spool import Spool

CLIENTS = 3
MOST_ROWS = 5
ASK_AGAIN_SECONDS = 0.05
ANSWERS_A_ROUND = 25  # that come before the next fault, however slow the machine is
PATIENCE_SECONDS = 120.0
REFUSED = http.client.SERVICE_UNAVAILABLE  # by a server that cannot log, or that has no version
SPOOLS = "serve-*"


@dataclass
class Told:
    """What the clients were answered so far, and by which server: the number of the one that runs."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    port: int = 0
    server: int = 0
    over: bool = False


@dataclass
class Servers:
    """One server after another, in one folder."""

    place: Place
    problem: str
    told: Told
    started_in_outage: dict[int, bool] = field(default_factory=dict)
    _life: ExitStack = field(default_factory=ExitStack)
    _serving: serving_process.Serving | None = None

    def start(self, *, in_outage: bool = False) -> None:
        """Start the next server. Clients find it as soon as it answers."""
        backend, folder = self.place.backend(self.problem, "server"), self.place.folder / self.problem
        self._serving = self._life.enter_context(serving_process.serving(backend, folder))
        self.started_in_outage[self.told.server + 1] = in_outage
        self.told.server, self.told.port = self.told.server + 1, self._serving.port

    def kill(self) -> None:
        """The server dies without a word."""
        assert self._serving
        self._serving.process.kill()
        self.end()

    def end(self) -> None:
        """The server stops as it is asked to, if it still runs."""
        self._life.close()


def judged(target: Target, problem: str, rounds: int) -> tuple[Answers, list[Violation]]:
    """Play the rounds; what was answered, and the rules that it breaks."""
    place = target.scene.for_problem(problem)
    _two_versions(place, problem)
    rows = pd.DataFrame(store.probe_rows(place.builds[0].bundle))
    told = Told()
    servers = Servers(place, problem, told)
    servers.start()
    with _asking(rows, told):
        for number in range(rounds):
            _wait_for_answers(told)
            ROUNDS[number % len(ROUNDS)](target, servers, number)
        _wait_for_answers(told)
    servers.end()
    found = Answers(
        told.acknowledged, list(_stored(place, problem)), _computed(place, rows), servers.started_in_outage, told.errors
    )
    return found, answers.broken(found, place.params(problem).model_name)


def server_killed(_: Target, servers: Servers, number: int) -> None:
    servers.kill()
    servers.start()


def postgres_killed(target: Target, servers: Servers, number: int) -> None:
    with faults.postgres_killed(target):
        _wait_for_answers(servers.told)


def both_killed(target: Target, servers: Servers, number: int) -> None:
    """Postgres dies, then the server, with a spool that it could not drain."""
    with faults.postgres_killed(target):
        _wait_for_answers(servers.told)
        servers.kill()
    servers.start()


def started_in_outage(target: Target, servers: Servers, number: int) -> None:
    """A server that starts while Postgres is away answers from the verified copy."""
    with faults.postgres_killed(target):
        servers.kill()
        servers.start(in_outage=True)
        _wait_for_answers(servers.told)


def sessions_ended(target: Target, servers: Servers, number: int) -> None:
    with faults.sessions_ended(target):
        pass


def version_changed(_: Target, servers: Servers, number: int) -> None:
    """A rollback to the other version."""
    serving = servers.place.backend(servers.problem, "anna").state().serving()
    assert serving
    _do(servers.place, servers.problem, f"w0.3-{servers.problem}-{number}", "rollback", {"to": 3 - serving.version})


ROUNDS: list[Callable[[Target, Servers, int], None]] = [
    server_killed, postgres_killed, version_changed, both_killed, sessions_ended, started_in_outage, version_changed
]  # fmt: skip


def _two_versions(place: Place, problem: str) -> None:
    """Versions 1 and 2 have been in Production, so that a rollback changes one for the other."""
    worker.begin(place, stock=0)
    for kind, values in (("repro", {"bundle": 2}), ("promote", {"version": None})):
        _do(place, problem, f"w0.1-{problem}-more-{kind}", kind, values | {"policy": "usual"})


def _do(place: Place, problem: str, name: str, kind: str, values: dict[str, object]) -> None:
    diary = Journal(place.journals / f"{name.partition('-')[0]}.jsonl")
    outcome = worker.do(place, diary, worker.asked(place, name, problem, kind, values))
    assert outcome is Outcome.DONE, f"{kind} {values} is {outcome}"


@contextmanager
def _asking(rows: pd.DataFrame, told: Told) -> Iterator[None]:
    """Clients ask in the block without a pause."""
    clients = [threading.Thread(target=_ask, args=(rows, told, Random(number))) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        told.over = True
        for client in clients:
            client.join()


def _ask(rows: pd.DataFrame, told: Told, dice: Random) -> None:
    while not told.over:
        server, port = told.server, told.port
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection:
            while server == told.server and not told.over:
                try:
                    _ask_once(connection, rows, told, dice, server)
                except (OSError, http.client.HTTPException):  # it was killed: this request was not acknowledged
                    time.sleep(ASK_AGAIN_SECONDS)
                    break


def _ask_once(
    connection: http.client.HTTPConnection, rows: pd.DataFrame, told: Told, dice: Random, server: int
) -> None:
    first = dice.randrange(len(rows) - MOST_ROWS)
    asked = range(first, first + dice.randint(1, MOST_ROWS))
    answer = serving_process.ask(connection, serving_process.body_of(rows.iloc[asked.start : asked.stop]))
    if answer.status == http.HTTPStatus.OK:
        forecasts = tuple(each["prediction"] for each in answer.json["predictions"])
        request, degraded = answer.headers["x-lockgate-request-id"], "x-lockgate-degraded" in answer.headers
        told.acknowledged.append(Acknowledged(request, answer.version, asked, forecasts, degraded, server))
    elif answer.status != REFUSED:
        told.errors.append(f"status {answer.status}: {answer.body[:300]!r}")


def _wait_for_answers(told: Told) -> None:
    wanted, until = len(told.acknowledged) + ANSWERS_A_ROUND, time.monotonic() + PATIENCE_SECONDS
    while len(told.acknowledged) < wanted:
        if time.monotonic() > until:
            raise TimeoutError(f"the clients got {ANSWERS_A_ROUND - wanted + len(told.acknowledged)} answers")
        time.sleep(0.02)


def _stored(place: Place, problem: str) -> Iterator[Stored]:
    """The prediction log, after what the servers left in their spools has been moved there."""
    backend = place.backend(problem, "anna")
    for folder in (place.home / "spool" / backend.model).glob(SPOOLS):
        with closing(Spool(folder)) as spool:
            drain_log.drain(spool, backend.database)
    with closing(place.sql()) as connection, connection.cursor() as cursor:
        cursor.execute(
            'SELECT request_id::text, "row", role, version, prediction, degraded FROM lockgate.predictions'
            " WHERE model = %s",
            [backend.model],
        )
        yield from (Stored(*row) for row in cursor)


def _computed(place: Place, rows: pd.DataFrame) -> dict[int, tuple[float, ...]]:
    """What versions 1 and 2 compute: those of the first two bundles."""
    return {
        number: tuple(store.load(build.bundle, manifest.digest(build.bundle)).predict(rows).tolist())
        for number, build in enumerate(place.builds[:2], start=1)
    }


def main() -> int:
    """Play on a stack of its own; 1 if a rule is broken."""
    parser = argparse.ArgumentParser(prog="chaos.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="how many faults there are, one after another")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lockgate-chaos-") as name, scene.opened(Path(name), 2) as opened:
        found, violations = judged(target_of(opened), "served", options.rounds)
    print(f"{options.rounds} faults, {len(found.started_in_outage)} servers")
    print(f"{len(found.acknowledged)} answers, {len(found.stored)} rows on record")
    for violation in violations:
        print(violation)
    return 1 if violations else 0


def target_of(opened: Scene) -> Target:
    """A target for faults of Postgres."""
    return Target(opened, None, None, Random(0))  # type: ignore[arg-type]  # neither proxy nor crew


if __name__ == "__main__":
    sys.exit(main())
