"""A run: workers, an observer and faults on a stack, until the time is over; then all comes to rest and is judged."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random

import psutil

from chaos import evidence, faults, journal, observer, rules, worker
from chaos.crew import HUNG_SECONDS, Crew, NotSetUp, forkserver, run_one
from chaos.faults import FAULTS, Target
from chaos.journal import Journal
from chaos.proxy import Proxy
from chaos.rules import Violation
from chaos.scene import Place, Scene
from lockgate.operations import status
from lockgate.stack import mlflow_server, processes
from lockgate.system.service_urls import DATABASE_VARIABLE, Addresses

PROBLEMS = ("chaos_a", "chaos_b")
STEP_SECONDS = 0.2
SETTLE_SECONDS = 600.0


@dataclass(frozen=True)
class Plan:
    """What is asked of a run; the seed decides what is drawn, the machine how far it comes."""

    seconds: float
    seed: int
    workers: int
    fault_seconds: tuple[float, float] = (0.5, 3.0)
    quiet_seconds: float = 3.0
    stock: int = 6
    without: frozenset[str] = frozenset()
    problems: tuple[str, ...] = PROBLEMS


@dataclass(frozen=True)
class Report:
    """What came of a run."""

    plan: Plan
    seconds: float
    operations: Counter[tuple[str, str]]
    deaths: int
    strikes: Counter[str]
    struck: Counter[str]
    looks: int
    repaired: list[str]
    commits: int
    moves: int
    violations: list[Violation] = field(default_factory=list)


def run(scene: Scene, plan: Plan) -> Report:
    """Play it, let all come to rest, and judge what came of it."""
    proxy = Proxy(scene.port, f"{plan.seed}/proxy")
    proxy.start()
    place = scene.at(Addresses(proxy.address, scene.place.where.database_url), *plan.problems)
    diary = Journal(place.journals / "run.jsonl")
    crew = Crew(place, plan.workers, str(plan.seed), diary)
    own = replace(scene.place, problems=plan.problems)  # past the proxy
    began = time.monotonic()
    try:
        _begin(own, plan.stock)
        with observed(own), struck(Target(scene, proxy, crew, Random(f"{plan.seed}/faults")), plan, diary):
            crew.start()
            _watch(crew, time.monotonic() + plan.seconds)
        hung = crew.end(HUNG_SECONDS)
        hung += _command_lines_that_hang(place)
        hung += [] if _is_settled(own) else ["what was said again at the end"]
        found = [Violation("no operation hangs", "", life) for life in hung] + judge(scene, plan)
    finally:
        proxy.stop()
    return _report(scene, plan, time.monotonic() - began, found)


def judge(scene: Scene, plan: Plan) -> list[Violation]:
    """Hold each model to the rules, and ask Lockgate itself as well, which must find the same."""
    story = journal.read(scene.place.journals)
    models = [scene.place.params(problem).model_name for problem in plan.problems]
    found = [violation for model in models for violation in rules.broken(evidence.gather(scene, model, story))]
    return [*found, *_own_judgement(scene, plan)]


def _own_judgement(scene: Scene, plan: Plan) -> Iterator[Violation]:
    for problem in plan.problems:
        backend = scene.place.backend(problem, "judge")
        for says in status.status(backend).broken:
            yield Violation("lockgate status", backend.model, says)


def _begin(place: Place, stock: int) -> None:
    try:
        code = run_one(worker.begin, place, stock)
    except TimeoutError as late:
        raise NotSetUp(f"what comes before all faults: {late}") from late
    if code != 0:
        raise RuntimeError("not even what comes before all faults could be done; see journals/w0.1.jsonl")


def _is_settled(place: Place) -> bool:
    with suppress(TimeoutError):
        return run_one(worker.settle, place, patience=SETTLE_SECONDS) == 0
    return False


def _watch(crew: Crew, until: float) -> None:
    while time.monotonic() < until:
        time.sleep(STEP_SECONDS)
        crew.renew()


def _command_lines_that_hang(place: Place) -> list[str]:
    """A command line whose worker was killed goes on without it; those that had to be killed for not ending."""
    hung = []
    until = time.monotonic() + HUNG_SECONDS
    if not processes.wait_until(lambda: not _command_lines(place), until):
        for process in _command_lines(place):
            hung.append(f"a command line, process {process.pid}")
            process.kill()
    return hung


def _command_lines(place: Place) -> list[psutil.Process]:
    """The command lines; the MLflow server knows the database too."""
    servers = mlflow_server.running(place.home)
    return [
        each for each in processes.with_variable(DATABASE_VARIABLE, place.where.database_url) if each not in servers
    ]


@contextmanager
def observed(place: Place) -> Iterator[None]:
    """Somebody looks all the time, straight at the server and the database; no fault may end that."""
    process = forkserver().Process(target=observer.observe, args=(place,))
    process.start()
    try:
        yield
        if not process.is_alive():
            raise RuntimeError(f"the observer ended with {process.exitcode}, and nobody knows what readers saw")
    finally:
        process.kill()
        process.join()


@contextmanager
def struck(target: Target, plan: Plan, diary: Journal) -> Iterator[None]:
    """One fault after the other, with some quiet in between; when the block ends, the last one is over."""
    over = threading.Event()
    with ThreadPoolExecutor(1, "faults") as thread:
        striking = thread.submit(_strike, target, plan, diary, over)
        try:
            yield
        finally:
            over.set()
            try:
                striking.result()
            finally:
                target.scene.revive()


def _strike(target: Target, plan: Plan, diary: Journal, over: threading.Event) -> None:
    for kind in faults.deck(target.dice, plan.without):
        if over.wait(plan.quiet_seconds):
            return
        since = time.time()
        with FAULTS[kind](target):
            over.wait(target.dice.uniform(*plan.fault_seconds))
        diary.write("strike", kind=kind, since=since)


def _report(scene: Scene, plan: Plan, seconds: float, found: list[Violation]) -> Report:
    story = journal.read(scene.place.journals)
    models = {scene.place.params(problem).model_name for problem in plan.problems}
    own = [operation for operation in story.operations.values() if operation.asked.model in models]
    return Report(
        plan,
        seconds,
        Counter((operation.asked.kind, _ending(operation)) for operation in own),
        sum(operation.again or operation.answer is None for operation in own),
        Counter(strike.kind for strike in story.strikes),
        Counter(operation.struck for operation in own if operation.struck),
        len(story.seen),
        [says for each in own if each.answer for says in each.answer.result.get("repaired", [])],
        len(scene.witness.commits),
        sum(len(moment.moved) for model in models for moment in evidence.moments(scene.witness.commits, model)),
        found,
    )


def _ending(operation: journal.Operation) -> str:
    return str(operation.outcome) if operation.answer else "no answer"
