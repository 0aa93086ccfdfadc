"""A short run in CI: the same as `make chaos`, with a seed that stays."""

from itertools import islice
from random import Random

import pytest

from chaos import faults, operations, summary
from chaos.crew import NotSetUp
from chaos.operations import Draw
from chaos.run import Plan, run
from chaos.scene import Scene

pytestmark = pytest.mark.long


SHORT = Plan(
    seconds=20, seed=20261, workers=4, fault_seconds=(0.3, 1.2), quiet_seconds=0.7,
    without=frozenset({"MLflow killed"}),  # it takes a third of the time to start again
    stock=3,
    problems=("short_a", "short_b"),
)  # fmt: skip


def test_nothing_is_broken_by_four_workers_and_a_dozen_faults(scene: Scene) -> None:
    report = run(scene, SHORT)
    assert report.violations == [], summary.told(report)
    if not (report.moves and report.looks and report.strikes.total() > 3):
        raise NotSetUp(f"too little happened in {SHORT.seconds} s:\n{summary.told(report)}")


def test_the_same_seed_draws_the_same_operations_and_faults() -> None:
    def drawn(seed: str) -> list[object]:
        dice = Random(seed)
        draw = Draw(dice, bundles=9, stages={1: "Archived", 2: "Production", 3: "Staging", 4: "None"})
        return [*(operations.drawn(draw) for _ in range(100)), *islice(faults.deck(dice, frozenset()), 30)]

    assert drawn("7/w1.1") == drawn("7/w1.1") != drawn("8/w1.1")
