"""Many promotions at once, each a process of its own."""

import sys
import time
from collections.abc import Iterable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from chaos.crew import HUNG_SECONDS, NotSetUp, forkserver
from chaos.operations import policy_named
from chaos.scene import Place
from chaos.shelf import Shelved
from lockgate.gate.verdict import policy_digest
from lockgate.operations import promote as operations_promote
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.stack import processes
from lockgate.system import exit_codes

pytestmark = pytest.mark.long


PEOPLE = 20
PATIENCE = 60.0


def promote(place: Place, problem: str, who: str, gun: Path) -> None:
    """What `lockgate promote` does, once the gun is there; what it says goes to a file of its own."""
    policy = policy_digest(policy_named(place, problem, "usual"))
    request = MoveRequest("now", dry_run=False, confirm=lambda _: None)
    sys.stderr = _words_of(place, who).open("w")
    while not gun.exists():
        time.sleep(0.01)
    backend = place.backend(problem, who, PATIENCE)
    code = exit_codes.run(
        lambda: operations_promote.promote(backend, request, None, policy, None), exit_codes.Session()
    )
    sys.stderr.close()
    sys.exit(code)


def test_of_twenty_promotions_in_twenty_processes_one_wins_and_nineteen_end_with_5_and_name_the_winner(
    model: Shelved,
) -> None:
    model.serving(1)
    model.candidate(2)
    gun = model.place.folder / "gun"
    people = {f"person-{number}": _started(model, f"person-{number}", gun) for number in range(PEOPLE)}
    _wait_for_all_at_the_line(model.place, people)
    gun.touch()
    codes = {who: _ended(process) for who, process in people.items()}
    [winner] = [who for who, code in codes.items() if code == 0]
    said = {who: _words_of(model.place, who).read_text() for who in codes if who != winner}
    assert sorted(codes.values()) == [0] + [5] * (PEOPLE - 1)
    assert [who for who, text in said.items() if f"by {winner}" not in text.splitlines()[0]] == []
    moment = model.evidence().moments[-1]
    assert [row["actor"] for row in moment.told] == [winner, winner]
    assert moment.after == {1: "Archived", 2: "Production"}


def _wait_for_all_at_the_line(place: Place, people: Iterable[str]) -> None:
    if not processes.wait_until(
        lambda: all(_words_of(place, who).exists() for who in people), time.monotonic() + HUNG_SECONDS
    ):
        missing = [who for who in people if not _words_of(place, who).exists()]
        raise NotSetUp(f"not at the line within {HUNG_SECONDS:g} s: {', '.join(missing)}")


def _words_of(place: Place, who: str) -> Path:
    """Also the sign that somebody stands at the line."""
    return place.folder / f"{who}.txt"


def _started(model: Shelved, who: str, gun: Path) -> BaseProcess:
    process: BaseProcess = forkserver().Process(target=promote, args=(model.place, model.problem, who, gun))
    process.start()
    return process


def _ended(process: BaseProcess) -> int | None:
    process.join(HUNG_SECONDS)
    return process.exitcode
