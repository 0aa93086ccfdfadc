"""Plots of a page, as SVG that follows the light or dark colours of the page."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

WIDTH, HEIGHT = 5.2, 3.4

# matplotlib knows no CSS: these stand in for the page's colours and are replaced in what it draws.
INK, MUTED, FIRST, SECOND = "#010101", "#020202", "#030303", "#040404"
OF_THE_PAGE = {INK: "var(--ink)", MUTED: "var(--muted)", FIRST: "var(--first)", SECOND: "var(--second)"}
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


def panel() -> tuple[Figure, Axes]:
    """An empty plot."""
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="tight", dpi=150)
    return figure, figure.subplots()


@contextmanager
def any_script() -> Iterator[None]:
    """Draw names in a script that the font lacks, such as Japanese, as boxes and without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def dates(axes: Axes) -> None:
    """Dates on the axis of time."""
    days = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(days)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(days))  # type: ignore[no-untyped-call]


def legend(axes: Axes) -> None:
    """A legend above the lines, where it hides none."""
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)


def plain(name: str) -> str:
    """A name as a label: matplotlib reads $ and a leading _."""
    return name.replace("$", r"\$").lstrip("_")


def svg(figure: Figure) -> str:
    """The drawing without the preamble of a file of its own, in the colours of the page."""
    file = io.StringIO()
    with any_script():
        figure.savefig(file, format="svg", metadata=NO_METADATA)
    drawn = PREAMBLE.sub("", file.getvalue()).strip()
    for ours, theirs in OF_THE_PAGE.items():
        drawn = drawn.replace(ours, theirs)
    return drawn
