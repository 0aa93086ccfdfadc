"""A short run in CI: the same as `make chaos`, with a seed that stays."""

from chaos import summary
from chaos.run import Plan, run
from chaos.scene import Scene

SHORT = Plan(
    seconds=20, seed=20261, workers=4, fault_seconds=(0.3, 1.2), quiet_seconds=0.7, without=frozenset({"MLflow killed"}),
    problems=("short_a", "short_b"),
)  # fmt: skip


def test_nothing_is_broken_by_four_workers_and_a_dozen_faults(scene: Scene) -> None:
    report = run(scene, SHORT)
    assert report.violations == [], summary.told(report)
    assert report.moves > 0
    assert report.strikes.total() > 3
