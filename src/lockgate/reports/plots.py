"""The plots of a training: learning curves, importances, backtests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.ticker import LogLocator, NullLocator

from lockgate.problem.metrics import METRICS
from lockgate.reports import importance_bars, plot
from lockgate.reports.plot import BLUE, HEIGHT, LINES, LOOKS, Plot

MOST_IMPORTANT = 20
FEWEST_RISES = 2  # features of a plot of permutation importances


def of_training(curves: pd.DataFrame, shares: pd.DataFrame, rises: pd.DataFrame) -> list[Plot]:
    """The plots of a training, from the tables that it leaves (training/report_files.py)."""
    with style.context(LOOKS):
        return [*_learning_curves(curves), *_importances(shares), *_permutation_importances(rises)]


def _learning_curves(curves: pd.DataFrame) -> Iterator[Plot]:
    """The error by boosting round, a panel for each member and a line for each fold.

    Columns: member, fold, step, score.
    """
    rounds = curves.groupby("member", sort=False)["step"].max()
    members = list(rounds[rounds > 1].index)  # a member that learns at once has no curve
    if not members:
        return
    figure, panels = plot.panels(len(members))
    folds = list(dict.fromkeys(curves["fold"].astype(str)))
    best = []
    for axes, member in zip(panels, members, strict=True):
        of_member = curves[curves["member"] == member]
        for fold, line in of_member.groupby("fold"):
            dashes = LINES[folds.index(str(fold)) % len(LINES)]
            axes.plot(line["step"], line["score"], label=str(fold), linewidth=1.2, linestyle=dashes)
        axes.set(title=str(member), xlabel="boosting round")
        axes.grid(axis="y")
        axes.sharey(panels[0])
        least = of_member.groupby("fold")["score"].min().mean()
        best.append(f"{member} {least:.4g} in at most {int(of_member['step'].max())} rounds")
    panels[0].set_ylabel("error on the fold")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, title="fold", loc="outside lower center", ncols=min(6, len(names)))
    yield Plot(
        "learning_curves",
        "Learning curves on the inner folds",
        f"Error by boosting round on {len(folds)} folds; mean of the least errors: {', '.join(best)}.",
        plot.png(figure),
    )


def _importances(table: pd.DataFrame) -> Iterator[Plot]:
    """The most important features of the members. Columns: feature, member, share (of the member's whole gain)."""
    if table.empty:
        return
    wide = table.pivot_table(index="feature", columns="member", values="share", aggfunc="sum").fillna(0.0)
    figure, [axes] = plot.panels(height=HEIGHT * 1.4)
    importance_bars.draw(axes, wide, MOST_IMPORTANT)
    axes.set_xlabel("share of the member's gain")
    axes.grid(axis="x")
    axes.legend(title="member", loc="lower right")
    first = wide.mean(axis=1).sort_values(ascending=False).head(3)
    named = ", ".join(f"{name} {share:.0%}" for name, share in first.items())
    yield Plot(
        "importances",
        "Importances by gain",
        f"Share of the gain by feature and member; the largest in the mean of the members: {named}.",
        plot.png(figure),
    )


def _permutation_importances(table: pd.DataFrame) -> Iterator[Plot]:
    """How much the error rises if a feature's values are permuted. Columns: feature, rise_of_error."""
    shown = table.sort_values("rise_of_error").tail(MOST_IMPORTANT)
    if len(shown) < FEWEST_RISES:
        return
    figure, [axes] = plot.panels(height=HEIGHT * 1.2)
    places = np.arange(len(shown))
    axes.barh(places, shown["rise_of_error"], color=BLUE, height=0.7)
    axes.set_yticks(places, [plot.short(str(name), 32) for name in shown["feature"]])
    axes.set_xlabel("rise of the error if the feature's values are permuted")
    axes.grid(axis="x")
    first = shown.iloc[::-1].head(3)
    named = ", ".join(f"{each.feature} {each.rise_of_error:+.4g}" for each in first.itertuples())
    useless = int((table["rise_of_error"] <= 0).sum())
    yield Plot(
        "permutation_importances",
        "Permutation importances on an inner fold",
        f"The features that matter most: {named}; {useless} of {len(table)} features do not help.",
        plot.png(figure),
    )


@style.context(LOOKS)
def backtest(marks: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """The score by cutoff with its interval, a colour for each forecast.

    The scale of an error is logarithmic: windows differ tenfold. Keys: origin, forecast, metric, score, low, high.
    """
    metric = METRICS[marks[0]["metric"]]
    table = pd.DataFrame(marks).sort_values("origin", kind="stable")
    origins = list(table["origin"].unique())
    figure, [axes] = plot.panels()
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
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plot.png(figure))
    return path
