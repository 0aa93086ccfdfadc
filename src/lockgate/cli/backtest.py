"""`backtest` scores the training at earlier cutoffs; `probe` checks its features for leakage.

They need no server and do not read the holdout.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import as_json, command, params, print_json, require_panel, table
from lockgate.errors import GateRefused
from lockgate.problem.metrics import METRICS, Metric

if TYPE_CHECKING:
    from lockgate.evaluation.leakage import FeatureLeakage
    from lockgate.training.backtest import WindowScore

PREPARED = Path("data/prepared")
COVERED = "covered by 80, 95 %"


@command("backtest", example="lockgate backtest --origins 6 --plot backtest.png", server=False)
@click.option(
    "--origins",
    type=click.IntRange(1, 60),
    default=6,
    show_default=True,
    help="Number of cutoffs, each with its own training.",
)
@click.option(
    "--apart", type=click.IntRange(min=1),
    help="Periods from one cutoff to the next. Default: the horizon of the problem.",
)  # fmt: skip
@as_json
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Also draw the score by cutoff into this PNG file."
)
def backtest(origins: int, apart: int | None, as_json: bool, plot: Path | None) -> None:
    """Train at earlier cutoffs and score the horizon after each.

    With `engine: {kind: dask}` in params.yaml or LOCKGATE_DASK, the cutoffs run at the same time on the workers.
    All cutoffs lie before the holdout. The last scored period is the one before the holdout begins.
    Rows of keys that begin after a cutoff are not scored there.
    """
    settings = params()
    require_panel(settings.problem, "backtest")
    from lockgate.data import dataset
    from lockgate.engine import choice
    from lockgate.reports import plots
    from lockgate.system.progress import watch
    from lockgate.training import backtest as tested

    rows, stores = dataset.read(PREPARED, "rows"), dataset.read(PREPARED, "static")
    with choice.here(settings.engine) as engine, watch("backtest") as progress:
        plan = tested.Plan(origins, apart or settings.horizon)
        marks = tested.backtest(rows, stores, settings, plan, engine, progress)
    if plot:
        plots.backtest([asdict(mark) for mark in marks], plot)
    if as_json:
        print_json({"marks": [asdict(mark) for mark in marks], "means": tested.means(marks)})
    else:
        _print(marks, tested.means(marks))


@command("probe", example="lockgate probe", server=False)
@as_json
def probe(as_json: bool) -> None:
    """Check each feature for leakage.

    The check replaces the target after a cutoff by noise and lists the features that change. It ends with exit code 4
    if a feature uses the target after its cutoff.
    """
    from lockgate.data import dataset
    from lockgate.evaluation import leakage
    from lockgate.features.recipe import Table
    from lockgate.features.recipes import recipe_of

    settings = params()
    require_panel(settings.problem, "probe")
    table_of_rows = Table.of(settings.problem, dataset.read(PREPARED, "rows"), dataset.read(PREPARED, "static"))
    recipe = recipe_of(settings.problem)
    findings = leakage.by_feature(recipe, table_of_rows, settings.horizon, settings.seed)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        heads = ["feature", f"newest {settings.problem.target} used, periods before the cutoff", "uses later values"]
        table(heads, [_finding(finding) for finding in findings])
    if leaks := [finding.feature for finding in findings if finding.leaks]:
        raise GateRefused(
            f"features use the target after their cutoff: {', '.join(leaks)}",
            hint="compute these features from the history state only: docs/decisions/one-interface-of-recipes.md",
        )


def _finding(found: "FeatureLeakage") -> list[str]:
    return [found.feature, "none" if found.youngest is None else str(found.youngest), "YES" if found.leaks else "no"]


def _print(marks: "tuple[WindowScore, ...]", means: dict[str, dict[str, float]]) -> None:
    metric = METRICS[marks[0].metric]
    heads = ["cutoff", "forecast", metric.label, "95 % interval", "MAE", "bias", COVERED]
    rows = [
        [mark.origin, mark.forecast, _short(metric, mark.score), _interval(metric, mark), f"{mark.mae:.4g}",
         f"{mark.bias:+.3f}", _covered(mark.coverage_80, mark.coverage_95)]
        for mark in marks
    ]  # fmt: skip
    table(heads, rows)
    click.echo()
    summary = [
        [
            name,
            *(_short(metric, found[key]) for key in ("score", "worst_score")),
            f"{found['mae']:.4g}",
            f"{found['bias']:+.3f}",
            _covered(found.get("coverage_80"), found.get("coverage_95")),
        ]
        for name, found in means.items()
    ]
    table(
        ["forecast", f"mean {metric.label}", "worst", "mean MAE", "mean bias", COVERED],
        summary,
    )


def _short(metric: Metric, score: float) -> str:
    return f"{score:.4f}" if metric.relative else f"{score:.6g}"


def _interval(metric: Metric, mark: "WindowScore") -> str:
    return " ".join(f"{end:.3f}" if metric.relative else f"{end:.4g}" for end in (mark.low, mark.high))


def _covered(*shares: float | None) -> str:
    """The shares of rows within the intervals; only the blend has some."""
    return " ".join("" if share is None else f"{share:.1%}" for share in shares).strip()
