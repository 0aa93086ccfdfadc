"""The plots of a training: learning curves, importances, backtests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from lockgate.problem.metrics import METRICS
from lockgate.reports import importance_bars

WIDTH, HEIGHT, DPI = 8.0, 4.5, 110
MOST_IMPORTANT = 20


def learning_curves(curves: pd.DataFrame, path: Path) -> Path:
    """Capped RMSPE by boosting step, a panel for each member and a line for each fold.

    Columns: member, fold, step, score.
    """
    members = list(curves["member"].unique())
    figure, panels = plt.subplots(1, len(members), figsize=(WIDTH, HEIGHT), sharey=True, squeeze=False)
    for axes, member in zip(panels[0], members, strict=True):
        for fold, line in curves[curves["member"] == member].groupby("fold"):
            axes.plot(line["step"], line["score"], label=str(fold), linewidth=1.2)
        axes.set(title=member, xlabel="boosting round")
    panels[0][0].set_ylabel("error on the fold")
    panels[0][-1].legend(title="fold", fontsize="small", loc="upper right")
    return _saved(figure, path)


def importances(table: pd.DataFrame, path: Path) -> Path:
    """The most important features of the members. Columns: feature, member, share (of the member's whole gain)."""
    wide = table.pivot_table(index="feature", columns="member", values="share", aggfunc="sum").fillna(0.0)
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT * 1.3))
    importance_bars.draw(axes, wide, MOST_IMPORTANT)
    axes.set_xlabel("share of the member's gain")
    axes.legend(title="member", loc="upper right")
    return _saved(figure, path)


def backtest(marks: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """The score by cutoff with its interval, a colour for each forecast.

    The scale of an error is logarithmic: windows differ tenfold. Keys: origin, forecast, metric, score, low, high.
    """
    metric = METRICS[marks[0]["metric"]]
    table = pd.DataFrame(marks).sort_values("origin", kind="stable")
    origins = list(table["origin"].unique())
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT))
    for place, (forecast, line) in enumerate(table.groupby("forecast", sort=False)):
        at = [origins.index(origin) + 0.07 * place for origin in line["origin"]]
        reach = [line["score"] - line["low"], line["high"] - line["score"]]
        axes.errorbar(at, line["score"], yerr=np.clip(reach, 0, None), label=str(forecast), fmt="o", capsize=2)
    axes.set_xticks(range(len(origins)), origins, rotation=30, ha="right")
    axes.set(ylabel=f"{metric.label} of the horizon after the cutoff", xlabel="cutoff")
    if metric.better == "lower":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.legend(fontsize="small", loc="upper right")
    return _saved(figure, path)


def _saved(figure: Figure, path: Path) -> Path:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    return path
