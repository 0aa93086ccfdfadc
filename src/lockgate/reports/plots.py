"""The plots of an MLflow run: learning curves, importances, forecasts of the holdout."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from lockgate.problem.metrics import METRICS, Metric
from lockgate.reports import importance_bars

WIDTH, HEIGHT, DPI = 8.0, 4.5, 110
MOST_IMPORTANT = 20
MOST_POINTS = 5000
TIME, TARGET, PREDICTION = "time", "target", "prediction"  # columns of the rows of a plot

Floats = NDArray[np.float64]


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
    panels[0][-1].legend(title="fold", fontsize="small")
    return _saved(figure, path)


def importances(table: pd.DataFrame, path: Path) -> Path:
    """The most important features of the members. Columns: feature, member, share (of the member's whole gain)."""
    wide = table.pivot_table(index="feature", columns="member", values="share", aggfunc="sum").fillna(0.0)
    figure, axes = plt.subplots(figsize=(WIDTH, HEIGHT * 1.3))
    importance_bars.draw(axes, wide, MOST_IMPORTANT)
    axes.set_xlabel("share of the member's gain")
    axes.legend(title="member")
    return _saved(figure, path)


def holdout(rows: pd.DataFrame, path: Path, metric: Metric, target: str) -> Path:
    """Sum of the target and of the forecasts by time, and the score by time. Columns: TIME, TARGET, PREDICTION."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(WIDTH, HEIGHT * 1.3), sharex=True)
    by_time = rows.groupby(TIME)
    totals = by_time[[TARGET, PREDICTION]].sum()
    above.plot(totals.index, totals[TARGET], label=target, linewidth=1.5)
    above.plot(totals.index, totals[PREDICTION], label="forecast", linewidth=1.5)
    above.set_ylabel(f"{target}, sum of all keys")
    above.legend()
    _score_by_time(below, rows, metric)
    if totals.index.inferred_type == "datetime64":
        figure.autofmt_xdate()
    return _saved(figure, path)


def predicted_against_actual(actual: Floats, forecast: Floats, path: Path, target: str) -> Path:
    """The forecast of each row against its target, and the errors against the forecast."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT))
    some = np.unique(np.linspace(0, len(actual) - 1, min(len(actual), MOST_POINTS)).astype(np.int64))
    low, high = min(actual.min(), forecast.min()), max(actual.max(), forecast.max())
    left.plot([low, high], [low, high], color="tab:gray", linewidth=1)
    left.scatter(actual[some], forecast[some], s=6, alpha=0.4)
    left.set(xlabel=target, ylabel="forecast")
    right.axhline(0, color="tab:gray", linewidth=1)
    right.scatter(forecast[some], (forecast - actual)[some], s=6, alpha=0.4)
    right.set(xlabel="forecast", ylabel="forecast - target")
    return _saved(figure, path)


def probabilities(actual: Floats, forecast: Floats, path: Path) -> Path:
    """The calibration curve and the precision-recall curve of the probabilities of the positive class (target 1)."""
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import precision_recall_curve

    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, HEIGHT))
    share, mean = calibration_curve(actual, np.clip(forecast, 0, 1), n_bins=10, strategy="quantile")
    left.plot([0, 1], [0, 1], color="tab:gray", linewidth=1)
    left.plot(mean, share, marker="o")
    left.set(xlabel="mean probability of a tenth of the rows", ylabel="share of positive rows", title="calibration")
    precision, recall, _ = precision_recall_curve(actual, forecast)
    right.plot(recall, precision)
    right.axhline(actual.mean(), color="tab:gray", linewidth=1)
    right.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title="precision and recall")
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
    axes.legend(fontsize="small")
    return _saved(figure, path)


def _score_by_time(axes: Axes, rows: pd.DataFrame, metric: Metric) -> None:
    scores = {
        time: metric.score(part[TARGET].to_numpy(), part[PREDICTION].to_numpy()) for time, part in rows.groupby(TIME)
    }
    axes.bar(list(scores), list(scores.values()), color="tab:gray")
    axes.set_ylabel(f"{metric.label} by time")


def _saved(figure: Figure, path: Path) -> Path:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    return path
