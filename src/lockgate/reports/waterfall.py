"""The waterfall of an explained forecast: from the base, effect by effect, up to the forecast."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lockgate.problem.description import Problem
from lockgate.reports import explained_words as words
from lockgate.reports.drawing import any_script, plain
from lockgate.reports.plot import BLUE, MUTED, ORANGE

MOST_EFFECTS = 10
WIDTH, ROW_HEIGHT, MARGIN = 8.0, 0.36, 1.3
RAISES, LOWERS, ENDS = BLUE, ORANGE, MUTED
NAME_LENGTH = 44


def figure(problem: Problem, inputs: Mapping[str, Any], record: Mapping[str, Any]) -> Figure:
    """The plot of one record; `inputs` are the values of its row."""
    effects = _shown(record, MOST_EFFECTS)
    drawn = Figure(figsize=(WIDTH, MARGIN + ROW_HEIGHT * (len(effects) + 2)), layout="constrained", dpi=110)
    axes = drawn.subplots()
    draw(axes, problem, record)
    about = words.title(problem, inputs)
    axes.set_title(plain(f"{problem.target}: {words.answer(record)}" + (f" ({about})" if about else "")), loc="left")
    return drawn


def save(problem: Problem, inputs: Mapping[str, Any], record: Mapping[str, Any], path: Path, form: str) -> None:
    """Write the plot to a file, as "png" or "svg"."""
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    with any_script():
        figure(problem, inputs, record).savefig(path, format=form, metadata=metadata)


def draw(axes: Axes, problem: Problem, record: Mapping[str, Any], most: int = MOST_EFFECTS) -> None:
    """Draw a record: the base at the top, then the largest effects, the others together, and the forecast."""
    effects, base, forecast = _shown(record, most), float(record["base"]), float(record["forecast"])
    names = ["base", *(name for name, _ in effects), "forecast"]
    axes.barh(0, base, color=ENDS, height=0.7)
    level = base
    for place, (_, change) in enumerate(effects, start=1):
        axes.barh(place, change, left=level, color=RAISES if change >= 0 else LOWERS, height=0.7)
        axes.plot([level, level], [place - 1.35, place - 0.35], color=ENDS, linewidth=0.6)
        level += change
    axes.barh(len(names) - 1, forecast, color=ENDS, height=0.7)
    axes.set_yticks(range(len(names)), [_short(name) for name in names], parse_math=False)
    axes.invert_yaxis()
    _annotate(axes, [base, *(change for _, change in effects), forecast], base, forecast)
    axes.set_xlabel(plain(words.what(problem, record) if "class" in record else problem.target))
    axes.spines[["top", "right"]].set_visible(False)


def _shown(record: Mapping[str, Any], most: int) -> list[tuple[str, float]]:
    """Name and change of the largest effects, and of the others together."""
    effects = [(words.name(each), float(each["contribution"])) for each in words.ordered(record)]
    if len(effects) <= most:
        return effects
    rest = effects[most - 1 :]
    return [*effects[: most - 1], (f"{len(rest)} smaller effects", sum(change for _, change in rest))]


def _annotate(axes: Axes, values: list[float], base: float, forecast: float) -> None:
    """The value of each bar at its right end; the axis shows the changes, and not all of the base."""
    ends, level = [max(base, 0.0)], base
    low, high = min(base, forecast), max(base, forecast)
    for change in values[1:-1]:
        ends.append(max(level, level + change))
        level += change
        low, high = min(low, level), max(high, level)
    ends.append(max(forecast, 0.0))
    margin = 0.12 * ((high - low) or abs(high) or 1.0)
    axes.set_xlim(low - 2 * margin if low > 2 * margin else min(low - margin, 0.0), high + 2 * margin)
    for place, (value, end) in enumerate(zip(values, ends, strict=True)):
        is_change = 0 < place < len(values) - 1
        text = ("+" if is_change and value >= 0 else "") + words.amount(value)
        axes.annotate(text, (end, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 3]}..."
