"""The plots of the monitor's report."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from lockgate.monitoring.drift import ColumnDrift
from lockgate.monitoring.scores import CalibrationBin, Score
from lockgate.problem.metrics import Metric
from lockgate.reports import drawing
from lockgate.reports.drawing import FIRST, INK, LOOKS, MUTED, SECOND

MOST_COLUMNS = 15


@style.context(LOOKS)
def scores(periods: Sequence[Score], metric: Metric, limit: float) -> str:
    """The score of each period, and the limit."""
    figure, axes = drawing.panel()
    places = np.arange(len(periods))
    axes.plot(places, [each.score for each in periods], color=FIRST, marker="o", markersize=3, label=metric.label)
    axes.axhline(limit, color=SECOND, linestyle="--", linewidth=1, label=f"limit {metric.shown(limit)}")
    _named(axes, [each.value for each in periods])
    axes.set_ylabel(f"{metric.label}, {metric.better} is better")
    drawing.legend(axes)
    return drawing.svg(figure)


@style.context(LOOKS)
def coverage(periods: Sequence[Score]) -> str:
    """The share of truths within their bounds by period, and the stated confidence."""
    figure, axes = drawing.panel()
    places = np.arange(len(periods))
    axes.plot(places, [each.covered for each in periods], color=FIRST, marker="o", markersize=3, label="within bounds")
    axes.plot(places, [each.stated for each in periods], color=SECOND, linestyle="--", linewidth=1, label="stated")
    _named(axes, [each.value for each in periods])
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    drawing.legend(axes)
    return drawing.svg(figure)


@style.context(LOOKS)
def drift(columns: Sequence[ColumnDrift]) -> str:
    """The stability index of each column, and the limit of each."""
    figure, axes = drawing.panel()
    known = [column for column in columns if isfinite(column.limit)] or list(columns)
    shown = sorted(known, key=lambda column: column.index / column.limit)[-MOST_COLUMNS:]
    places = np.arange(len(shown))
    axes.barh(places, [column.index for column in shown], height=0.6, color=FIRST, label="index now")
    limits = [column.limit for column in shown]
    axes.scatter(limits, places, marker="|", s=160, color=SECOND, label="limit")
    axes.set_yticks(places, [drawing.plain(column.name)[:28] for column in shown])
    axes.set_xlabel("population stability index")
    drawing.legend(axes)
    return drawing.svg(figure)


@style.context(LOOKS)
def calibration(bins: Sequence[CalibrationBin]) -> str:
    """How often a class came true, by its forecast probability."""
    figure, axes = drawing.panel()
    forecast, observed = ([getattr(each, name) for each in bins] for name in ("forecast", "observed"))
    axes.plot(forecast, observed, color=FIRST, marker="o", markersize=4)
    axes.axline((0.0, 0.0), slope=1.0, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="forecast probability", ylabel="share that came true", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    return drawing.svg(figure)


def _named(axes: Axes, names: Sequence[str]) -> None:
    """Names of periods below the axis, not more than fit."""
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    chosen = [int(place) for place in axes.get_xticks() if 0 <= place < len(names)]
    axes.set_xticks(chosen, [names[place].strip() for place in chosen], color=MUTED)
