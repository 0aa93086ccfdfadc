"""The picture of a version's forecasts of the holdout, by the kind of problem and its task."""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from lockgate.data.rows_by_part import Rows, RowsByPart
from lockgate.problem.description import Problem
from lockgate.problem.metrics import Metric
from lockgate.problem.target_values import outside_where
from lockgate.reports import plot
from lockgate.reports.plot import BLUE, HEIGHT, INK, LOOKS, MUTED, ORANGE, WIDTH, panels, short

FORECAST, ACTUAL, MISSED = BLUE, INK, ORANGE
MOST_POINTS = 2000
MOST_CLASSES = 12  # of a confusion matrix: the most frequent ones
PERIODS_BEFORE = 24  # of the history that is shown, at least; else twice the holdout
WIDE = 20.0  # a target whose middle 98 % spans more than this factor has a logarithmic axis
TENTHS, BINS = 10, 41
FEW = 40  # values of a line that has a point for each one
MIDDLE_AND_LARGEST = (0.5, 1.0)  # places of two keys in the order of their errors
SHARES_OF_KEYS = (0.0, 0.5, 0.9, 1.0)  # places of all keys that a plot shows
WORDS_OF_ERRORS = {0.0: "least error", 0.5: "middle error", 0.9: "large error", 1.0: "largest error"}

NOTHING: "pd.Series[float]" = pd.Series(dtype=np.float64)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def _amount(value: float) -> str:
    """A short number, such as 200k or 3M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


AMOUNTS = FuncFormatter(lambda value, _: _amount(value))


@dataclass(frozen=True)
class Past:
    """The end of the training rows of a panel: the sums of their targets by time, and the rows of the keys shown."""

    sums: "pd.Series[float]"
    rows: pd.DataFrame


@dataclass(frozen=True)
class Scored:
    """The scored rows of the holdout that have a finite forecast, and their forecasts, in one order.

    `actual` and `forecast` are as the metric takes them. `bounds` is (rows, 2), NaN where they are unknown. `classes`
    are () for a regression. `unit` is the unit of each row's error (None: as they are). `past` is what the plots show
    of the training rows.
    """

    problem: Problem
    metric: Metric
    rows: pd.DataFrame
    actual: Floats
    forecast: Floats
    bounds: Floats
    classes: tuple[str, ...]
    unit: Floats | None = None
    past: Past | None = None

    @property
    def inside(self) -> Bools:
        """The rows whose target lies within its bounds."""
        return np.asarray((self.bounds[:, 0] <= self.actual) & (self.actual <= self.bounds[:, 1]))

    @property
    def has_bounds(self) -> bool:
        """Whether the bounds of all rows are known."""
        return bool(np.isfinite(self.bounds).all())

    @property
    def score(self) -> float:
        """The score of the forecasts in the metric."""
        return self.metric.score_in(self.unit, self.actual, self.forecast)

    def where(self, chosen: Bools) -> "Scored":
        """Some of the rows."""
        few = (self.rows[chosen], self.actual[chosen], self.forecast[chosen], self.bounds[chosen])
        unit = None if self.unit is None else self.unit[chosen]
        return Scored(self.problem, self.metric, *few, self.classes, unit, self.past)


def picture(scored: Scored) -> bytes:
    """The picture as PNG."""
    with style.context(LOOKS):
        figure = figure_of(scored)
        title = scored.problem.title or scored.problem.name
        score = scored.score
        figure.suptitle(
            f"{title}\nholdout: {scored.metric.label} {score:.4g} on {len(scored.actual):,} rows", fontsize="medium"
        )
        return plot.png(figure)


def figure_of(scored: Scored) -> Figure:
    """The figure for the kind of problem and its task."""
    if scored.problem.task == "multiclass":
        return _of_classes(scored)
    if scored.problem.task == "binary":
        return _of_two_classes(scored)
    return {"panel": _of_panel, "state": _of_state, "table": _of_table}[scored.problem.kind](scored)


def _of_panel(scored: Scored) -> Figure:
    """The sum of all keys, the score by period, and the forecasts of two keys with their bounds."""
    figure, (total, scores, *others) = panels(2, 2, height=1.4 * HEIGHT)
    problem = scored.problem
    sums = pd.DataFrame({"actual": scored.actual, "forecast": scored.forecast}).groupby(_times(scored)).sum()
    _line(total, scored.past.sums if scored.past else NOTHING, sums["actual"])
    total.plot(sums.index, sums["forecast"], color=FORECAST, marker=_mark(sums.index))
    total.set_title(f"{problem.target}, sum of all rows")
    _scores_by_time(scores, scored)
    keys_along_time(figure, others, scored)
    for axes in (total, *others):
        axes.yaxis.set_major_formatter(AMOUNTS)
    for axes in (total, scores, *others):
        time_axis(axes, problem)
    if len(sums) == 1:
        scores.set_xticks(list(sums.index), [problem.period.text(int(problem.period.number(_times(scored))[0]))])
    return figure


def _of_state(scored: Scored) -> Figure:
    """The forecast against the target, and the forecasts of two keys along their rows with their bounds."""
    figure = Figure(figsize=(WIDTH, 1.2 * HEIGHT), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    left, *others = (figure.add_subplot(grid[place]) for place in ((slice(None), 0), (0, 1), (1, 1)))
    chosen = some(len(scored.actual))
    _points(left, scored.actual[chosen], scored.forecast[chosen], FORECAST)
    left.set(xlabel=f"true {scored.problem.target}", ylabel="forecast", title="forecast against target")
    _diagonal(left, scored)
    keys_along_time(figure, others, scored)
    for axes in others:
        time_axis(axes, scored.problem)
    others[-1].set_xlabel(scored.problem.time_name)
    return figure


def _of_table(scored: Scored) -> Figure:
    """The target by its forecast, with the bounds, and the distribution of the errors."""
    figure, (left, right) = panels(2)
    chosen = some(len(scored.actual))
    order = chosen[np.argsort(scored.forecast[chosen], kind="stable")]
    forecast, actual, inside = scored.forecast[order], scored.actual[order], scored.inside[order]
    if scored.has_bounds:
        left.fill_between(
            forecast, *scored.bounds[order].T, color=FORECAST, alpha=0.2, linewidth=0, label="95 % bounds"
        )
        share = scored.inside.mean()
        _points(left, forecast[inside], actual[inside], ACTUAL, f"within: {share:.1%} of the rows")
        _points(left, forecast[~inside], actual[~inside], MISSED, f"outside: {1 - share:.1%}")
        left.legend(loc="upper left")
    else:
        _points(left, forecast, actual, ACTUAL)
    left.set(xlabel="forecast", ylabel=f"true {scored.problem.target}", title="target by forecast")
    _diagonal(left, scored)
    _errors(right, scored)
    return figure


def _of_two_classes(scored: Scored) -> Figure:
    """Calibration, precision and recall, and the probabilities of the rows of each class."""
    from sklearn.metrics import precision_recall_curve

    figure, (left, middle, right) = panels(3)
    positive, share = scored.problem.positive, float(scored.actual.mean())
    calibration(left, scored.forecast, scored.actual)
    left.set(xlabel=f"forecast probability of {short(positive, 18)}", ylabel="share of the rows that have it")
    if scored.actual.any():  # without a positive row, there is no recall
        precision, recall, _ = precision_recall_curve(scored.actual, scored.forecast)
        middle.plot(recall, precision, color=FORECAST, label="forecast")
    middle.axhline(share, color=MUTED, linestyle="--", linewidth=1, label=f"by chance: {share:.0%}")
    middle.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="precision and recall")
    middle.legend(loc="upper right")
    bins = np.linspace(0, 1, 2 * TENTHS + 1)
    for value, colour, label in ((0, MUTED, "others"), (1, MISSED, short(positive, 18))):
        right.hist(scored.forecast[scored.actual == value], bins=list(bins), color=colour, alpha=0.7, label=label)
    right.set(xlabel="forecast probability", ylabel="rows", title=f"rows by {short(scored.problem.target, 18)}")
    right.legend(loc="upper center")
    return figure


def _of_classes(scored: Scored) -> Figure:
    """How often each class is forecast as each class, and the calibration of all probabilities."""
    figure, (left, right) = panels(2)
    actual, chosen = scored.actual.astype(np.int64), scored.forecast.argmax(axis=1)
    shown = np.sort(np.argsort(-np.bincount(actual, minlength=len(scored.classes)), kind="stable")[:MOST_CLASSES])
    counts = np.zeros((len(scored.classes), len(scored.classes)))
    np.add.at(counts, (actual, chosen), 1.0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = shares[np.ix_(shown, shown)]
    left.imshow(image, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(image.shape):
        share = image[row, column]
        left.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.5 else ACTUAL)
    names = [short(scored.classes[place], 18) for place in shown]
    left.set_xticks(range(len(names)), names, rotation=45 if len(names) > 4 else 0)
    left.set_yticks(range(len(names)), names)
    right_share = float((actual == chosen).mean())
    left.set(xlabel="forecast class", ylabel=scored.problem.target, title=f"{right_share:.1%} of the rows are right")
    for side in left.spines.values():
        side.set_visible(False)
    hits = (np.arange(len(scored.classes)) == actual[:, None]).astype(np.float64)
    calibration(right, scored.forecast.ravel(), hits.ravel())
    right.set(xlabel="forecast probability of a class", ylabel="share of the rows that have it")
    return figure


def _points(axes: Axes, across: Floats, up: Floats, colour: str, label: str | None = None) -> None:
    axes.scatter(across, up, s=7, alpha=0.5, color=colour, linewidths=0, label=label)


def _diagonal(axes: Axes, scored: Scored) -> None:
    """The line on which forecast and target are equal; both axes are logarithmic for a wide target."""
    both = np.concatenate([scored.actual, scored.forecast])
    axes.plot([both.min(), both.max()], [both.min(), both.max()], color=ACTUAL, linewidth=1, linestyle="--")
    if is_wide(scored):
        axes.set(xscale="log", yscale="log")
    axes.xaxis.set_major_formatter(AMOUNTS)
    axes.yaxis.set_major_formatter(AMOUNTS)


def _errors(axes: Axes, scored: Scored) -> None:
    """A histogram of the errors, relative to the target if that is wide; the first and the last bar hold all beyond."""
    errors, wide = scored.forecast - scored.actual, is_wide(scored)
    shown = errors / scored.actual if wide else errors
    reach = max(float(np.quantile(np.abs(shown), 0.98)), 1e-12)
    axes.hist(np.clip(shown, -reach, reach), bins=BINS, range=(-reach, reach), color=FORECAST, alpha=0.7)
    axes.axvline(0, color=MUTED, linestyle="--", linewidth=1)
    middle = float(np.median(np.abs(shown)))
    axes.set(xlabel="(forecast - target) / target" if wide else "forecast - target", ylabel="rows")
    axes.set_title(f"errors: half of the rows within ±{f'{middle:.1%}' if wide else f'{middle:,.3g}'}")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0) if wide else AMOUNTS)


def calibration(axes: Axes, probability: Floats, hit: Floats) -> None:
    """Draw the share of hits among the rows of each tenth of the probabilities, against the mean probability there."""
    from sklearn.calibration import calibration_curve

    share, mean = calibration_curve(hit, np.clip(probability, 0, 1), n_bins=TENTHS, strategy="quantile")
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1)
    axes.plot(mean, share, marker="o", markersize=4, color=FORECAST)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), title="calibration, by tenths of the rows")


def scores_by_time(scored: Scored) -> "pd.Series[float]":
    """The score of each period."""
    places = pd.Series(np.arange(len(scored.actual))).groupby(_times(scored))
    return pd.Series({time: scored.where(np.isin(np.arange(len(scored.actual)), part)).score for time, part in places})


def _scores_by_time(axes: Axes, scored: Scored) -> None:
    scores = scores_by_time(scored)
    axes.plot(scores.index, scores, color=MUTED, marker="o", markersize=3)
    axes.set_title(f"{scored.metric.label} by {scored.problem.period.word}")
    if scored.metric.better == "lower":
        axes.set_ylim(bottom=0)


def keys_by_error(scored: Scored, shares: Sequence[float]) -> dict[str, tuple[object, ...]]:
    """Some keys by their place in the order of the errors (0: the least, 1: the largest), by a name with this place.

    The error of a key is its sum of absolute errors by that of its targets.
    """
    if not scored.problem.keys:
        return {}
    names = list(scored.problem.keys)
    errors = pd.DataFrame({"error": np.abs(scored.forecast - scored.actual), "size": np.abs(scored.actual)})
    sums = errors.groupby([scored.rows[name].to_numpy() for name in names]).sum()
    ranked = (sums["error"] / sums["size"].clip(lower=1e-12)).sort_values(kind="stable").index
    chosen = {int(share * (len(ranked) - 1)): WORDS_OF_ERRORS[share] for share in shares}
    named = {}
    for place, word in chosen.items():
        key = ranked[place]
        values = key if isinstance(key, tuple) else (key,)
        label = ", ".join(f"{name} {short(str(value), 18)}" for name, value in zip(names, values, strict=True))
        named[f"{label} ({word})" if len(ranked) > 1 else label] = values
    return named


def _some_keys(scored: Scored, shares: Sequence[float]) -> Iterator[tuple[str, Scored, "pd.Series[float]"]]:
    """Some keys: name, rows, earlier targets by time."""
    names = list(scored.problem.keys)
    for label, values in keys_by_error(scored, shares).items():
        part = scored.where(_of_key(scored.rows, names, values))
        yield label, part, NOTHING if scored.past is None else _targets(scored.problem, scored.past.rows, values)


def _targets(problem: Problem, rows: pd.DataFrame, key: Sequence[object]) -> "pd.Series[float]":
    """The targets of a key by time."""
    return rows[_of_key(rows, problem.keys, key)].set_index(problem.time_name)[problem.target].sort_index()


def _of_key(rows: pd.DataFrame, names: Sequence[str], values: Sequence[object]) -> Bools:
    return np.asarray((rows[list(names)] == list(values)).all(axis=1), dtype=np.bool_)


def keys_along_time(
    figure: Figure,
    places: Sequence[Axes],
    scored: Scored,
    shares: Sequence[float] = MIDDLE_AND_LARGEST,
) -> None:
    """Draw the targets of some keys, and their forecasts with bounds; a legend for the figure."""
    for axes, (name, part, past) in zip(places, _some_keys(scored, shares), strict=False):
        order = np.argsort(_times(part), kind="stable")
        times = _times(part)[order]
        if part.has_bounds and len(times) > 1:
            axes.fill_between(times, *part.bounds[order].T, color=FORECAST, alpha=0.2, linewidth=0)
        elif part.has_bounds:
            axes.vlines(times, *part.bounds.T, color=FORECAST, alpha=0.2, linewidth=6)
        _line(axes, past, pd.Series(part.actual[order], index=times))
        axes.plot(times, part.forecast[order], color=FORECAST, marker=_mark(times))
        axes.set_title(f"{name}, {part.inside.mean():.0%} within bounds" if part.has_bounds else name)
    for axes in places:
        axes.set_visible(axes.has_data())
    marks: dict[str, Artist] = {"target": Line2D([], [], color=ACTUAL), "forecast": Line2D([], [], color=FORECAST)}
    if scored.has_bounds:
        marks["95 % bounds"] = Patch(color=FORECAST, alpha=0.2, linewidth=0)
    if scored.past is not None and len(scored.past.sums):
        marks["end of the training"] = Line2D([], [], color=MUTED, linestyle=":")
    figure.legend(list(marks.values()), list(marks), loc="outside lower center", ncols=len(marks))


def _line(axes: Axes, past: "pd.Series[float]", held: "pd.Series[float]") -> None:
    """The targets before the holdout and in it; a line marks the cutoff."""
    both = pd.concat([past, held]) if len(past) else held
    axes.plot(both.index, both, color=ACTUAL, linewidth=1.2, marker=_mark(both.index))
    if len(past):
        axes.axvline(past.index.max(), color=MUTED, linestyle=":", linewidth=1)


def _mark(times: Sized) -> str:
    """A point for each of a few values: a line of one value is not seen."""
    return "." if len(times) <= FEW else ""


def past_of(scored: Scored, history: Rows) -> Past:
    """What the plots of a panel show of the training rows, from one pass over their parts.

    Twice as many periods as the holdout has, at least PERIODS_BEFORE, of the rows that count.
    """
    problem, keys = scored.problem, list(keys_by_error(scored, SHARES_OF_KEYS).values())
    held = problem.period.number(_times(scored))
    first = held.min() - max(PERIODS_BEFORE, 2 * (held.max() - held.min() + 1))
    sums, rows = [], []
    for part in RowsByPart.of(history):
        number = problem.period.number(part[problem.time_name].to_numpy())
        some = part[~outside_where(problem, part) & (number >= first)]
        sums.append(some.groupby(problem.time_name)[problem.target].sum())
        rows += [some[_of_key(some, problem.keys, key)] for key in keys]
    return Past(pd.concat(sums).groupby(level=0).sum(), pd.concat([some.head(0), *rows]))


def _times(scored: Scored) -> NDArray[np.generic]:
    return np.asarray(scored.rows[scored.problem.time_name])


def time_axis(axes: Axes, problem: Problem) -> None:
    """Periods on the axis of time."""
    if axes.dataLim.width == 0:  # one period: a locator of dates finds no interval
        return
    if problem.period.is_integer:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    else:
        dates = AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(dates)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(dates))  # type: ignore[no-untyped-call]


def is_wide(scored: Scored) -> bool:
    """Whether a logarithmic axis shows the values better: all are positive and span more than a factor of WIDE."""
    low, high = np.quantile(scored.actual, [0.01, 0.99])
    return bool(min(scored.actual.min(), scored.forecast.min()) > 0 and high > WIDE * low)


def some(rows: int) -> NDArray[np.int64]:
    """Places of at most MOST_POINTS rows, evenly chosen."""
    return np.unique(np.linspace(0, rows - 1, min(rows, MOST_POINTS)).astype(np.int64))
