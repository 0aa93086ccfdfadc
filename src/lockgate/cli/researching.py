"""`backtest`: what the training would have been worth earlier. Knows no server and never sees the holdout."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.frame import command, params, table

if TYPE_CHECKING:
    from lockgate.forecast.backtest import Mark

PREPARED = Path("data/prepared")


@command("backtest", example="lockgate backtest --origins 6 --plot backtest.png", server=False)
@click.option("--origins", type=click.IntRange(1, 60), default=6, show_default=True, help="How many trainings.")
@click.option("--days-apart", type=click.IntRange(1, 366), default=42, show_default=True, help="From origin to origin.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Also draw RMSPE by origin, as PNG.")
def backtest(origins: int, days_apart: int, as_json: bool, plot: Path | None) -> None:
    """Train at several origins before the holdout and score the days after each."""
    from lockgate import plots
    from lockgate.data import prepared
    from lockgate.forecast import backtest as tested
    from lockgate.forecast.watching import watch

    rows, stores = prepared.read(PREPARED, "rows"), prepared.read(PREPARED, "stores")
    with watch("backtest") as progress:
        marks = tested.backtest(rows, stores, params(), tested.Plan(origins, days_apart), progress)
    if plot:
        plots.backtest([asdict(mark) for mark in marks], plot)
    if as_json:
        found = {"marks": [asdict(mark) for mark in marks], "means": tested.means(marks)}
        click.echo(json.dumps(found, indent=2))
    else:
        _print(marks, tested.means(marks))


def _print(marks: "tuple[Mark, ...]", means: dict[str, dict[str, float]]) -> None:
    heads = ["known until", "forecast", "RMSPE", "95 %", "MAE", "bias"]
    rows = [
        [mark.origin, mark.forecast, f"{mark.rmspe:.4f}", f"{mark.low:.4f} .. {mark.high:.4f}", f"{mark.mae:.0f}",
         f"{mark.bias:+.3f}"]
        for mark in marks
    ]  # fmt: skip
    table(heads, rows)
    click.echo()
    summary = [
        [
            name,
            *(f"{found[key]:.4f}" for key in ("rmspe", "worst_rmspe")),
            f"{found['mae']:.0f}",
            f"{found['bias']:+.3f}",
        ]
        for name, found in means.items()
    ]
    table(["forecast", "mean RMSPE", "worst", "mean MAE", "mean bias"], summary)
