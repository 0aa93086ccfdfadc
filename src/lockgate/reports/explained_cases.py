"""A few rows of the holdout with the explanation of their forecasts, as a plot and as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import style

from lockgate.problem.description import Problem
from lockgate.reports import explained_words as words
from lockgate.reports import plot, waterfall
from lockgate.reports.plot import LOOKS, Plot

COLUMNS = ("case", "row", "truth", "forecast", "of", "value", "contribution", "factor", "log_odds")
TITLE = "Why some forecasts are as they are"
EFFECTS = 7  # of a case in the plot
ROW_HEIGHT, MARGIN = 0.28, 1.1
LONGEST_HEAD = 44


@dataclass(frozen=True)
class ExplainedCase:
    """A row of the holdout by its number, from 1: why it was chosen, its values, its truth, and the record."""

    name: str
    number: int
    inputs: Mapping[str, Any]
    truth: Any
    record: Mapping[str, Any]


def failed(reason: str) -> Iterator[Plot]:
    """A picture that says why no forecast is explained."""
    said = f"The forecasts could not be explained ({reason}). The verdict does not depend on explanations."
    with style.context(LOOKS):
        figure, [axes] = plot.panels(height=MARGIN)
        axes.set_axis_off()
        axes.text(0, 0.5, said, transform=axes.transAxes, wrap=True, va="center")
        yield Plot("explained", TITLE, said, plot.png(figure))


def plots(problem: Problem, cases: Sequence[ExplainedCase]) -> Iterator[Plot]:
    """A waterfall for each case; nothing without cases."""
    if not cases:
        return
    with style.context(LOOKS):
        figure, axes = plot.panels(2, (len(cases) + 1) // 2, 2 * (MARGIN + ROW_HEIGHT * (EFFECTS + 2)))
        for each, case in zip(axes, cases, strict=False):
            waterfall.draw(each, problem, case.record, EFFECTS)
            about = words.title(problem, case.inputs)
            head = f"{case.name}{f', {about}' if about else ''}"
            each.set_title(f"{plot.short(head, LONGEST_HEAD)}\n{words.answer(case.record)}, truth {_truth(case)}")
        for each in axes[len(cases) :]:
            each.remove()
        yield Plot("explained", TITLE, _told(problem, cases), plot.png(figure))


def table(cases: Sequence[ExplainedCase]) -> list[dict[str, Any]]:
    """A row for each effect of each case, with the base first: they add up to the forecast. Keys: COLUMNS."""
    found = []
    for case in cases:
        about = {"case": case.name, "row": case.number, "truth": case.truth, "forecast": case.record["forecast"]}
        found.append({**about, "of": "base", "contribution": case.record["base"]})
        found += [{**about, **effect} for effect in (*case.record["contributions"], *case.record["parts"])]
    return found


def _truth(case: ExplainedCase) -> str:
    number = isinstance(case.truth, int | float) and not isinstance(case.truth, bool)
    return words.amount(float(case.truth) if number else case.truth)


def _told(problem: Problem, cases: Sequence[ExplainedCase]) -> str:
    """The largest effect of each case, in words."""
    said = []
    for case in cases:
        effects = words.ordered(case.record)[:1]
        moved = words.sentence(problem, case.record, effects[0]) if effects else "nothing moves the forecast"
        said.append(f"{case.name} (row {case.number}): {moved}")
    return "; ".join(said) + "."
