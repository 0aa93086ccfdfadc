"""The plots of a comparison page, as SVG that follows the light or dark colours of the page."""

import io
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from lockgate.comparison import agreement
from lockgate.comparison.record_diff import ImportanceChange
from lockgate.problem.columns import TARGET, TIME
from lockgate.reports import importance_bars

WIDTH, HEIGHT = 5.2, 3.4
BINS = 41  # odd: the middle bar holds the rows on which both agree
POINTS = 20_000
MOST_IMPORTANT = 15
BEYOND = (0.005, 0.995)  # the histogram ends at these quantiles; what lies beyond is in the outermost bars

# matplotlib knows no CSS: these stand in for the page's colours and are replaced in what it draws.
INK, MUTED, FIRST, SECOND = "#010101", "#020202", "#030303", "#040404"
OF_THE_PAGE = {INK: "var(--ink)", MUTED: "var(--muted)", FIRST: "var(--first)", SECOND: "var(--second)"}
POINT = "#6f8fb0"  # the points are a picture in the picture, readable on both grounds
THOUSANDS = StrMethodFormatter("{x:,.0f}")
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
PREAMBLE = re.compile(r"^.*?(?=<svg )|<metadata>.*?</metadata>|<!--.*?-->", re.DOTALL)
LOOKS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lockgate",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.prop_cycle": cycler(color=[FIRST, SECOND]),
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "figure.facecolor": "none",
    "legend.frameon": False,
}


@style.context(LOOKS)
def differences(pairs: pd.DataFrame) -> str:
    """A histogram of the relative differences."""
    found = agreement.not_both_zero(pairs)["difference"].to_numpy()
    low, high = np.quantile(found, BEYOND)
    reach = max(abs(low), abs(high), 1e-6)
    figure, axes = _panel()
    axes.hist(np.clip(found, -reach, reach), bins=BINS, range=(-reach, reach), color=FIRST)
    axes.axvline(0.0, color=INK, linewidth=0.8, linestyle=":")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel="relative difference", ylabel="rows")
    return _svg(figure)


@style.context(LOOKS)
def scatter(pairs: pd.DataFrame, first: str, second: str) -> str:
    """The forecasts of both, a point a row."""
    rows = agreement.not_both_zero(pairs)
    shown = rows.iloc[:: max(1, -(-len(rows) // POINTS))]
    figure, axes = _panel()
    axes.scatter(shown["first"], shown["second"], s=5, alpha=0.5, color=POINT, linewidths=0, rasterized=True)
    axes.axline((0.0, 0.0), slope=1.0, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel=first, ylabel=second)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter(THOUSANDS)
    return _svg(figure)


@style.context(LOOKS)
def totals(pairs: pd.DataFrame, first: str, second: str) -> str:
    """The sum of all stores by day, of both, and of the sales where they are known of all rows."""
    by_day = pairs.groupby(TIME)[["first", "second", TARGET]].sum()
    figure, axes = _panel()
    if pairs[TARGET].notna().all():
        axes.plot(by_day.index, by_day[TARGET], color=MUTED, linewidth=1.5, linestyle=":", label="sales")
    axes.plot(by_day.index, by_day["first"], color=FIRST, linewidth=1.3, label=first)
    axes.plot(by_day.index, by_day["second"], color=SECOND, linewidth=1.3, linestyle="--", label=second)
    axes.set(ylabel="sum of a day")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(THOUSANDS)
    days = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(days)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(days))  # type: ignore[no-untyped-call]
    _legend(axes)
    return _svg(figure)


@style.context(LOOKS)
def importances(changes: Sequence[ImportanceChange], first: str, second: str) -> str:
    """The features that the members of both lean on most, in the mean over the members."""
    members = len({change.member for change in changes})
    rows = [(change.feature, change.first, change.second) for change in changes]
    table = pd.DataFrame(rows, columns=["feature", first, second])
    figure, axes = _panel()
    importance_bars.draw(axes, table.groupby("feature").sum() / members, MOST_IMPORTANT)
    axes.set_xlabel("share of the gain, mean of the members")
    _legend(axes)
    return _svg(figure)


def _legend(axes: Axes) -> None:
    """Above the lines, where it hides none."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)


def _panel() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="tight", dpi=150)
    return figure, figure.subplots()


def _svg(figure: Figure) -> str:
    """The drawing without the preamble of a file of its own, in the colours of the page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata=NO_METADATA)
    drawn = PREAMBLE.sub("", file.getvalue()).strip()
    for ours, theirs in OF_THE_PAGE.items():
        drawn = drawn.replace(ours, theirs)
    return drawn
