"""The picture of `lockgate check`: target, missing values, drift, what each column tells alone, rows by period."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes

from lockgate.describe.remarks import Checked, Measures
from lockgate.reports.drawing import any_script

WIDTH, HEIGHT, DPI = 11.0, 7.5, 110
MOST_BARS, LEAST_BARS = 15, 6
MOST_KEYS = 200
MOST_PERIODS = 400
TRAINED, HELD = "tab:blue", "tab:orange"


@any_script()
@style.context({"text.parse_math": False})  # a $ in a name begins no formula
def draw(checked: Checked, measures: Measures, path: Path) -> Path:
    """Write the picture as PNG."""
    timed = checked.problem.kind == "panel"
    figure, panels = plt.subplots(2, 3 if timed else 2, figsize=(WIDTH, HEIGHT))
    first, *others = panels.flat
    if timed:
        _target_by_time(first, checked.learned)
        _rows_by_key(others.pop(), checked)
    else:
        _distribution(first, checked)
    _missing(others[0], measures)
    _drift(others[1], measures)
    _singles(others[2], measures, checked.problem.task != "regression")
    for axes in others[3:]:
        _distribution(axes, checked.learned)
    figure.suptitle(
        f"{checked.problem.name}: {len(checked.rows):,} rows to train on, {len(checked.holdout):,} held out"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=DPI, format="png")
    plt.close(figure)
    return path


def _target_by_time(axes: Axes, checked: Checked) -> None:
    for rows, colour, label in ((checked.rows, TRAINED, "to train on"), (checked.holdout, HELD, "holdout")):
        mean = rows.groupby(checked.problem.time_name)[checked.target].mean()
        axes.plot(mean.index, mean, color=colour, label=label, linewidth=1)
    axes.set(title=f"mean of {checked.target} by time")
    axes.tick_params(axis="x", rotation=30)
    axes.legend(fontsize="small")


def _distribution(axes: Axes, checked: Checked) -> None:
    """The target's histogram, or the share of each class, in both parts."""
    parts = (checked.rows[checked.target], checked.holdout[checked.target])
    if checked.problem.task == "regression":
        low, high = np.nanquantile(np.concatenate([part.to_numpy(dtype=np.float64) for part in parts]), [0.005, 0.995])
        bins = list(np.linspace(low, high if high > low else low + 1, 30))
        for part, colour, label in zip(parts, (TRAINED, HELD), ("to train on", "holdout"), strict=True):
            axes.hist(part, bins=bins, density=True, histtype="step", color=colour, label=label)
    else:
        shares = pd.DataFrame(
            {
                label: part.astype(str).value_counts(normalize=True)
                for label, part in zip(("to train on", "holdout"), parts, strict=True)
            }
        )
        shares.head(MOST_BARS).plot.bar(ax=axes, color=[TRAINED, HELD], rot=0)
    axes.set(title=f"distribution of {checked.target}", xlabel="")
    axes.legend(fontsize="small")


def _rows_by_key(axes: Axes, checked: Checked) -> None:
    """Which periods each key has: dark where it has a row. At most MOST_KEYS keys, evenly chosen."""
    problem, every = checked.problem, checked.both
    keys = every.groupby(list(problem.keys)).ngroup() if problem.keys else pd.Series(0, index=every.index)
    period = problem.period.number(every[problem.time_name].to_numpy())
    period = period - period.min()
    count, width = int(keys.max()) + 1, int(period.max()) + 1
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_KEYS)).astype(int))
    step = -(-width // MOST_PERIODS)
    image = np.zeros((len(chosen), -(-width // step)))
    inside = np.isin(keys.to_numpy(), chosen)
    np.add.at(image, (np.searchsorted(chosen, keys.to_numpy()[inside]), period[inside] // step), 1.0 / step)
    axes.imshow(
        image, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest", extent=(0, width, len(chosen), 0)
    )
    axes.set(
        title="rows by key and period (white: gaps)",
        xlabel=problem.period.plural(2).split()[1],
        ylabel=f"{len(chosen)} of {count:,} keys",
    )


def _missing(axes: Axes, measures: Measures) -> None:
    _bars(axes, {name: share for name, share in measures.missing.items() if share}, "share of missing values")
    axes.set_xlim(0, 1)


def _drift(axes: Axes, measures: Measures) -> None:
    _bars(axes, measures.drift, "drift to the holdout (stability index)")
    axes.axvline(measures.drift_limit, color="tab:red", linestyle="--", linewidth=1)


def _singles(axes: Axes, measures: Measures, classes: bool) -> None:
    scores = {each.column: max(0.0, each.score) for each in measures.singles}
    _bars(axes, scores, f"what a column alone tells ({'right classes' if classes else 'R2'})")
    axes.set_xlim(0, 1.02)
    if measures.singles:
        axes.axvline(measures.singles[0].limit, color="tab:red", linestyle="--", linewidth=1)


def _bars(axes: Axes, values: dict[str, float], title: str) -> None:
    largest: list[Any] = sorted(values.items(), key=lambda each: -each[1])[:MOST_BARS]
    axes.barh([name[:24] for name, _ in largest], [value for _, value in largest], color=TRAINED)
    axes.set_ylim(max(len(largest), LEAST_BARS) - 0.5, -0.5)
    axes.tick_params(axis="y", labelsize="small")
    axes.set_title(title if largest else f"{title}: none")
