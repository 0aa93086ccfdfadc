"""A worker: a process that does one drawn operation after the other, writes down each, and may die at a named point."""

import os
import time
import traceback
import warnings
from contextlib import closing, suppress
from random import Random

import psycopg2

from chaos import journal, operations, points
from chaos.journal import Asked, Journal, Operation, Outcome
from chaos.operations import KINDS, Actor, Draw
from chaos.raw import Told
from chaos.scene import Place
from lockgate.errors import LockgateError

# Loaded once, by the server that forks the workers: an import of these costs each of them seconds.
from lockgate.operations import run_record, score_candidate  # noqa: F401

DEATHS = 0.3  # of the operations that have points to die at
STOP = "stop"
LAST = "w0.2-last-"  # how the operations begin after which nothing more is done
PATIENCE_SECONDS = 1.0
WHO_IS_WHERE = """
    SELECT version, current_stage FROM model_versions
    WHERE name = %s AND current_stage <> 'Deleted_Internal' ORDER BY version
"""


def work(place: Place, life: str, seed: str) -> None:
    """Act until the file `stop` lies in the folder. The dice are seeded; what time makes of it is the machine's."""
    warnings.simplefilter("ignore")
    os.chdir(place.folder)
    dice = Random(seed)
    diary = Journal(place.journals / f"{life}.jsonl")
    for unfinished in left_by(place, life):
        do(place, diary, unfinished)
    number = 0
    while not (place.folder / STOP).exists():
        number += 1
        problem = dice.choice(place.problems)
        kind, values = operations.drawn(Draw(dice, len(place.builds), stages(place, problem)))
        fatal = points.points(kind)
        point = dice.choice(fatal) if fatal and dice.random() < DEATHS else None
        outcome = do(place, diary, asked(place, f"{life}-{number}", problem, kind, values), point)
        if outcome is Outcome.UNKNOWN:
            time.sleep(PATIENCE_SECONDS)  # nobody hammers at a door behind which all is dark


def begin(place: Place, stock: int) -> None:
    """Before anything strikes: the first bundle of each model goes all the way up, and some more are registered."""
    os.chdir(place.folder)
    diary = Journal(place.journals / "w0.1.jsonl")
    steps = [("repro", {"bundle": 1, "policy": "usual"}), ("promote", {"version": None, "policy": "usual"})]
    steps += [("register", {"bundle": bundle}) for bundle in range(2, stock + 2)]
    for problem in place.problems:
        for number, (kind, values) in enumerate(steps, start=1):
            outcome = do(place, diary, asked(place, f"w0.1-{problem}-{number}", problem, kind, values))
            assert outcome is Outcome.DONE, f"{kind} {values} of {problem} is {outcome}, with nothing in its way"


def settle(place: Place) -> None:
    """After it, what its users would do: say again what was never answered, finish what was begun, ask the doctor."""
    os.chdir(place.folder)
    diary = Journal(place.journals / "w0.2.jsonl")
    models = {place.params(problem).model_name for problem in place.problems}
    story = journal.read(place.journals)
    operations = [each for each in story.operations.values() if each.asked.model in models]
    begun = [each for each in operations if "bundle" in each.asked.values]
    whole = {_of(each) for each in begun if each.outcome is Outcome.DONE}
    half = {_of(each) for each in begun if each.outcome in (Outcome.UNKNOWN, Outcome.BUG)} - whole
    for operation in operations:
        if operation.answer is None:
            do(place, diary, operation.asked)
    for number, (model, bundle) in enumerate(sorted(half)):
        problem = model.removesuffix("-ensemble")
        do(place, diary, asked(place, f"w0.2-{number}", problem, "register", {"bundle": bundle}))
    for problem in place.problems:
        do(place, diary, asked(place, f"{LAST}{problem}", problem, "doctor", {}))


def _of(operation: Operation) -> tuple[str, int]:
    return operation.asked.model, operation.asked.values["bundle"]


def stages(place: Place, problem: str) -> dict[int, str]:
    """Who stands where, as somebody sees it who looks before acting; nothing if the database is down."""
    with suppress(psycopg2.Error), closing(place.sql()) as connection, connection.cursor() as cursor:
        cursor.execute(WHO_IS_WHERE, [place.params(problem).model_name])
        return dict(cursor.fetchall())
    return {}


def left_by(place: Place, life: str) -> list[Asked]:
    """What the lives of this worker before were killed over: whoever typed that command types it again."""
    earlier = journal.read(place.journals, f"{life.partition('.')[0]}.*").operations.values()
    return [operation.asked for operation in earlier if operation.answer is None]


def asked(place: Place, name: str, problem: str, kind: str, values: operations.Values) -> Asked:
    """The operation as it goes into the journal."""
    return Asked(name, kind, place.params(problem).model_name, values, 0.0)


def do(place: Place, diary: Journal, asked: Asked, point: str | None = None) -> Outcome:
    """One operation, written down before and after."""
    diary.write("asked", id=asked.id, kind=asked.kind, model=asked.model, values=asked.values)
    actor = Actor(place, asked, asked.model.removesuffix("-ensemble"))
    outcome, says, result = Outcome.DONE, "", operations.Values()
    try:
        with points.deadly(point, lambda: diary.write("struck", id=asked.id, point=point)):
            result = KINDS[asked.kind].act(actor)
    except Told as told:
        outcome, says = told.outcome, str(told)
    except LockgateError as refusal:
        outcome, says = _outcome(refusal), f"{type(refusal).__name__}: {refusal}"
    except Exception:  # noqa: BLE001 - whatever else comes out of Lockgate is a bug, and the user would be told so
        outcome, says = Outcome.BUG, traceback.format_exc()[-3000:]
    diary.write("answered", id=asked.id, outcome=outcome, says=says, result=result)
    return outcome


def _outcome(refusal: LockgateError) -> Outcome:
    return operations.OUTCOMES.get(refusal.exit_code, Outcome.BUG)


def one(place: Place, asked: Asked, point: str | None = None) -> None:
    """One operation in a process of its own, which dies at the point."""
    os.chdir(place.folder)
    do(place, Journal(place.journals / f"{asked.id.partition('-')[0]}.jsonl"), asked, point)
