"""The plots of a comparison page, as SVG that follows the light or dark colours of the page."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.ticker import Formatter, MaxNLocator, PercentFormatter, StrMethodFormatter

from lockgate.comparison.pairs import Floats, Pairs
from lockgate.problem.description import Problem
from lockgate.reports import drawing, importance_bars
from lockgate.reports.drawing import FIRST, INK, LOOKS, MUTED, SECOND
from lockgate.reports.record_diff import ImportanceChange

BINS = 41  # odd: the middle bar holds the rows on which both agree
POINTS = 20_000
MOST_IMPORTANT = 15
BEYOND = (0.005, 0.995)  # the histogram ends at these quantiles; what lies beyond is in the outermost bars

POINT = "#6f8fb0"  # the points are a picture in the picture, readable on both grounds
LARGE = 20  # from this forecast on, an axis shows whole numbers


@style.context(LOOKS)
def differences(pairs: Pairs) -> str:
    """A histogram of the differences."""
    found = pairs.difference
    low, high = np.quantile(found, BEYOND)
    reach = max(abs(low), abs(high), 1e-6)
    figure, axes = drawing.panel()
    axes.hist(np.clip(found, -reach, reach), bins=BINS, range=(-reach, reach), color=FIRST)
    axes.axvline(0.0, color=INK, linewidth=0.8, linestyle=":")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel="relative difference" if pairs.is_relative else "difference of probabilities", ylabel="rows")
    return drawing.svg(figure)


@style.context(LOOKS)
def scatter(pairs: Pairs, first: str, second: str) -> str:
    """The forecasts of both, a point a row; of more than two classes, the class that the first version forecasts."""
    one, other = pairs.first, pairs.second
    if one.ndim > 1:
        one, other = (np.take_along_axis(each, pairs.first_class[:, None], axis=1)[:, 0] for each in (one, other))
    step = max(1, -(-len(pairs) // POINTS))
    figure, axes = drawing.panel()
    axes.scatter(one[::step], other[::step], s=5, alpha=0.5, color=POINT, linewidths=0, rasterized=True)
    axes.axline((0.0, 0.0), slope=1.0, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel=first, ylabel=second)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(_numbers(one, pairs.is_relative))
    return drawing.svg(figure)


def by_time(problem: Problem) -> str:
    """What `over_time` shows: the sum of a panel's keys, the mean of rows of other kinds."""
    unit = "period" if problem.period.is_integer else problem.period.name
    return f"sum of all forecasts of a {unit}" if problem.kind == "panel" else f"mean of all forecasts of a {unit}"


@style.context(LOOKS)
def over_time(pairs: Pairs, first: str, second: str) -> str:
    """The forecasts of both by period, and the target where it is known of all rows."""
    problem = pairs.problem
    values = pd.DataFrame({"first": pairs.first, "second": pairs.second, "target": pairs.target})
    groups = values.groupby(pairs.rows[problem.time_name].to_numpy())
    by_period = groups.sum() if problem.kind == "panel" else groups.mean()
    figure, axes = drawing.panel()
    if np.isfinite(pairs.target).all():
        label = drawing.plain(problem.target)
        axes.plot(by_period.index, by_period["target"], color=MUTED, linewidth=1.5, linestyle=":", label=label)
    axes.plot(by_period.index, by_period["first"], color=FIRST, linewidth=1.3, label=first)
    axes.plot(by_period.index, by_period["second"], color=SECOND, linewidth=1.3, linestyle="--", label=second)
    axes.set(ylabel=by_time(problem).replace("all forecasts of ", ""))
    if by_period.min().min() >= 0:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_numbers(by_period["first"].to_numpy(), pairs.is_relative))
    if not problem.period.is_integer:
        drawing.dates(axes)
    drawing.legend(axes)
    return drawing.svg(figure)


def _numbers(values: Floats, is_amount: bool) -> Formatter:
    """The form of an axis: percent for probabilities; whole numbers where the values are large."""
    if not is_amount:
        return PercentFormatter(1.0)
    return StrMethodFormatter("{x:,.0f}" if np.abs(values).max() >= LARGE else "{x:g}")


@style.context(LOOKS)
def importances(changes: Sequence[ImportanceChange], first: str, second: str) -> str:
    """The features that the members of both lean on most, in the mean over the members."""
    members = len({change.member for change in changes})
    rows = [(change.feature, change.first, change.second) for change in changes]
    table = pd.DataFrame(rows, columns=["feature", first, second])
    figure, axes = drawing.panel()
    importance_bars.draw(axes, table.groupby("feature").sum() / members, MOST_IMPORTANT)
    axes.set_xlabel("share of the gain, mean of the members")
    drawing.legend(axes)
    return drawing.svg(figure)
