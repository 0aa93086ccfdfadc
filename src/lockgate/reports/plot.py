"""A plot of a run: a picture with a title and a text that says what it shows; and how all of them look."""

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from PIL import Image

from lockgate.reports.drawing import any_script
from lockgate.reports.plot_index import HOLDOUT_PLOTS, TRAINING_PLOTS, PlotEntry, entries

# The colours of Okabe and Ito, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"
INK, MUTED, GRID = "#222222", "#8a8a8a", "#e4e7ea"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW)
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)), (0, (1, 1)))

WIDTH, HEIGHT, DPI, COLOURS = 9.6, 4.4, 100, 64
LONGEST_NAME = 24
PNG = b"\x89PNG"
LOOKS: dict[str, Any] = {
    "text.parse_math": False,
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.prop_cycle": cycler(color=SERIES),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": "small",
    "legend.frameon": False,
    "figure.facecolor": "white",
}


@dataclass(frozen=True)
class Plot:
    """A picture as PNG. `alt` says what it shows, for readers who do not see it."""

    name: str
    title: str
    alt: str
    png: bytes

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.png"


def panels(columns: int = 1, rows: int = 1, height: float = HEIGHT) -> tuple[Figure, list[Axes]]:
    """A figure with empty plots."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def png(figure: Figure) -> bytes:
    """The picture in few colours, which is a third of the size."""
    drawn, small = io.BytesIO(), io.BytesIO()
    with any_script():
        figure.savefig(drawn, dpi=DPI, format="png")
    few = Image.open(drawn).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(small, format="PNG", optimize=True)
    return small.getvalue()


def write(plots: Iterable[Plot], folder: Path, index: str, about: Mapping[str, str]) -> list[Path]:
    """Write the pictures into a folder, and an index with titles and texts; `about` says what they belong to."""
    folder.mkdir(parents=True, exist_ok=True)
    written, entries = [], []
    for plot in plots:
        path = folder / plot.file
        path.write_bytes(plot.png)
        written.append(path)
        entries.append(asdict(PlotEntry(plot.file, plot.title, plot.alt)))
    listed = folder / index
    listed.write_text(json.dumps({**about, "plots": entries}, indent=1) + "\n", encoding="utf-8")
    return [*written, listed]


def short(text: str, most: int = LONGEST_NAME) -> str:
    """A name that fits beside an axis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def of_files(files: Mapping[str, bytes]) -> list[Plot]:
    """The plots of a run, from the files in its folder of plots: those of the holdout first."""
    found = []
    for index in (HOLDOUT_PLOTS, TRAINING_PLOTS):
        for entry in entries(files[index]) if index in files else ():
            if files.get(entry.file, b"").startswith(PNG):
                found.append(Plot(entry.file.removesuffix(".png"), entry.title, entry.alt, files[entry.file]))
    return found
