"""The plots of a version on the holdout that a reviewer looks at, chosen by the kind of problem and its task."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from lockgate.reports import explained_cases, holdout_plot, plot
from lockgate.reports.explained_cases import ExplainedCase
from lockgate.reports.holdout_plot import AMOUNTS, Scored
from lockgate.reports.plot import BLUE, GRID, INK, LINES, LOOKS, MUTED, ORANGE, SERIES, Plot, short

Floats = NDArray[np.float64]

MOST_SLICES = 18
MOST_CURVES = 6  # classes with a curve of their own
SLICE_HEIGHT = 0.26
BINS = 41
HALF = 0.5


@dataclass(frozen=True)
class SliceScore:
    """The score on a slice; `production` is NaN where the version in Production has none."""

    name: str
    rows: int
    score: float
    production: float = float("nan")


@dataclass(frozen=True)
class SliceChange:
    """How much worse the version is than Production on a slice, with the interval of the gate; below 0 is better."""

    name: str
    worse_by: float
    low: float
    high: float


@dataclass(frozen=True)
class Production:
    """The version in Production: its forecasts of the same rows (NaN for rows that it cannot forecast)."""

    version: int
    forecast: Floats
    changes: tuple[SliceChange, ...]


@dataclass(frozen=True)
class Judged:
    """A version on the holdout. `coverage` has the stated confidence and the share of targets within the bounds.

    `unexplained`: why no row is explained, if an explanation failed.
    """

    scored: Scored
    slices: tuple[SliceScore, ...]
    coverage: tuple[tuple[float, float], ...]
    production: Production | None
    explained: tuple[ExplainedCase, ...] = ()
    unexplained: str = ""


def plots(judged: Judged) -> list[Plot]:
    """The plots that the rows are enough for, the overview first."""
    with style.context(LOOKS):
        return [drawn for draw in PLOTS for drawn in draw(judged)]


def _overview(judged: Judged) -> Iterator[Plot]:
    scored = judged.scored
    drawn = holdout_plot.picture(scored)
    metric, rows = scored.metric, len(scored.actual)
    yield Plot(
        "holdout", "Overview", f"The holdout at a glance: {metric.label} {scored.score:.4g} on {rows:,} rows.", drawn
    )


def _by_key(judged: Judged) -> Iterator[Plot]:
    """The keys with the least, the middle, a large and the largest error along time."""
    scored = judged.scored
    if scored.problem.kind not in ("panel", "state") or scored.problem.task != "regression" or not scored.problem.keys:
        return
    shares = holdout_plot.SHARES_OF_KEYS
    keys = list(holdout_plot.keys_by_error(scored, shares))
    figure, axes = plot.panels(2, 2 if len(keys) > 2 else 1, height=(1.4 if len(keys) > 2 else 0.8) * plot.HEIGHT)
    holdout_plot.keys_along_time(figure, axes, scored, shares)
    for each in axes:
        each.grid(axis="y")
        if scored.problem.kind == "panel":
            each.yaxis.set_major_formatter(AMOUNTS)
        holdout_plot.time_axis(each, scored.problem)
    bounds = " with bounds of 95 %" if scored.has_bounds else ""
    yield Plot(
        "forecasts_by_key",
        "Forecast and truth of sample keys",
        f"Truth and forecast{bounds} of {len(keys)} keys, from the least to the largest error: {'; '.join(keys)}.",
        plot.png(figure),
    )


def _by_period(judged: Judged) -> Iterator[Plot]:
    scored = judged.scored
    if scored.problem.kind != "panel":
        return
    own = holdout_plot.scores_by_time(scored)
    if len(own) < 2:
        return
    figure, [axes] = plot.panels()
    metric, label = scored.metric, "this version"
    axes.plot(own.index, own, color=BLUE, marker="o", markersize=3, label=label)
    production = _of_production(judged)
    if production is not None:
        theirs = holdout_plot.scores_by_time(production)
        axes.plot(theirs.index, theirs, color=ORANGE, linestyle="--", label=_named(judged))
    axes.axhline(scored.score, color=MUTED, linewidth=1, linestyle=":", label=f"all rows: {scored.score:.4g}")
    axes.set(ylabel=f"{metric.label}, {metric.better} is better")
    _from_zero(axes, judged)
    axes.grid(axis="y")
    holdout_plot.time_axis(axes, scored.problem)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    worst = own.idxmax() if metric.better == "lower" else own.idxmin()
    period = scored.problem.period
    yield Plot(
        "errors_by_period",
        f"{metric.label} by {period.word}",
        f"{metric.label} of {len(own)} periods: median {own.median():.4g}, worst {own[worst]:.4g} on"
        f" {period.text(int(period.number(np.array([worst]))[0]))}.",
        plot.png(figure),
    )


def _by_slice(judged: Judged) -> Iterator[Plot]:
    """The score of each slice, the worst at the top, beside that of Production."""
    metric = judged.scored.metric
    known = [each for each in judged.slices if isfinite(each.score)]
    if not known:
        return
    ranked = sorted(known, key=lambda each: metric.error(each.score))
    shown = ranked[-MOST_SLICES:]
    figure, [axes] = plot.panels(height=1.4 + SLICE_HEIGHT * len(shown))
    places = np.arange(len(shown))
    axes.hlines(places, 0, [each.score for each in shown], color=GRID, linewidth=6)
    axes.scatter([each.score for each in shown], places, color=BLUE, zorder=3, label="this version")
    theirs = [each.production for each in shown]
    if np.isfinite(theirs).any():
        axes.scatter(theirs, places, marker="D", s=28, facecolors="none", edgecolors=ORANGE, zorder=4,
                     label=_named(judged))  # fmt: skip
    score = judged.scored.score
    axes.axvline(score, color=MUTED, linewidth=1, linestyle=":", label=f"all rows: {score:.4g}")
    axes.set_yticks(places, [f"{short(each.name)} ({each.rows:,})" for each in shown])
    axes.set_xlabel(f"{metric.label}, {metric.better} is better; (rows)")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    worst = shown[-1]
    yield Plot(
        "errors_by_slice",
        f"{metric.label} by slice",
        f"{metric.label} on {len(known)} slices: worst {worst.score:.4g} for {worst.name} ({worst.rows:,} rows),"
        f" best {ranked[0].score:.4g} for {ranked[0].name}; all rows {score:.4g}.",
        plot.png(figure),
    )


def _residuals(judged: Judged) -> Iterator[Plot]:
    scored = judged.scored
    if scored.problem.task != "regression":
        return
    figure, (left, right) = plot.panels(2)
    some = holdout_plot.some(len(scored.actual))
    relative = holdout_plot.is_wide(scored)
    errors = (scored.forecast - scored.actual) / (np.abs(scored.actual) if relative else 1.0)
    reach = max(float(np.quantile(np.abs(errors), 0.99)), 1e-12)
    left.scatter(scored.forecast[some], np.clip(errors[some], -reach, reach), s=8, alpha=0.5, color=BLUE, linewidths=0)
    left.axhline(0, color=INK, linewidth=1)
    left.set(xlabel="forecast", ylabel="(forecast - truth) / truth" if relative else "forecast - truth")
    if relative:
        left.set_xscale("log")
    left.set_title("error by forecast")
    left.xaxis.set_major_formatter(AMOUNTS)
    right.hist(np.clip(errors, -reach, reach), bins=BINS, range=(-reach, reach), color=BLUE, alpha=0.8)
    right.axvline(0, color=INK, linewidth=1)
    middle, mean = float(np.median(np.abs(errors))), float(np.mean(errors))
    right.set(xlabel="error", ylabel="rows", title=f"half of the errors within ±{_amount(middle, relative)}")
    for axis in (left.yaxis, right.xaxis):
        axis.set_major_formatter(PercentFormatter(1.0) if relative else AMOUNTS)
    yield Plot(
        "residuals",
        "Residuals",
        f"Errors of {len(errors):,} rows: half within ±{_amount(middle, relative)}, mean {_amount(mean, relative)}.",
        plot.png(figure),
    )


def _coverage(judged: Judged) -> Iterator[Plot]:
    """The share of targets within the bounds, by the stated confidence."""
    if len(judged.coverage) < 2:
        return
    stated, measured = zip(*sorted(judged.coverage), strict=True)
    figure, [axes] = plot.panels(height=plot.HEIGHT)
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1, label="as stated")
    axes.plot(stated, measured, color=BLUE, marker="o", label="measured on the holdout")
    for each, share in zip(stated, measured, strict=True):
        axes.annotate(f"{share:.0%}", (each, share), textcoords="offset points", xytext=(6, -12), fontsize="small")
    low = min(*stated, *measured) - 0.05
    axes.set(xlabel="stated confidence", ylabel="targets within the bounds", xlim=(low, 1.01), ylim=(low, 1.01))
    axes.grid()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="upper left")
    pairs = ", ".join(f"{share:.1%} at {each:.0%}" for each, share in zip(stated, measured, strict=True))
    yield Plot(
        "coverage",
        "Coverage of the bounds",
        f"Share of targets within bounds by confidence: {pairs}.",
        plot.png(figure),
    )


def _calibration(judged: Judged) -> Iterator[Plot]:
    scored = judged.scored
    if scored.problem.task == "regression":
        return
    figure, (left, right) = plot.panels(2)
    probability, hit = _hits(scored)
    holdout_plot.calibration(left, probability, hit)
    left.set(xlabel="forecast probability", ylabel="share that came true")
    left.grid()
    right.hist(probability, bins=20, range=(0, 1), color=BLUE, alpha=0.8)
    right.set(xlabel="forecast probability", ylabel="rows", title="how often it forecasts which probability")
    mean, share = float(probability.mean()), float(hit.mean())
    yield Plot(
        "calibration",
        "Calibration",
        f"Forecast probability against what came true, by tenths of {len(hit):,} forecasts: mean {mean:.1%} forecast,"
        f" {share:.1%} came true.",
        plot.png(figure),
    )


def _confusion(judged: Judged) -> Iterator[Plot]:
    """How often each class is forecast as each class: shares of the rows of the true class, and rows."""
    scored = judged.scored
    if scored.problem.task == "regression":
        return
    actual = scored.actual.astype(np.int64)
    chosen = (scored.forecast >= HALF).astype(np.int64) if scored.forecast.ndim == 1 else scored.forecast.argmax(axis=1)
    names = _class_names(scored)
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (actual, chosen), 1.0)
    shown = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[: holdout_plot.MOST_CLASSES])
    shares = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[np.ix_(shown, shown)]
    figure, [axes] = plot.panels(height=max(plot.HEIGHT, 1.2 + 0.5 * len(shown)))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(shares.shape):
        share, rows = shares[row, column], int(counts[shown[row], shown[column]])
        text = f"{share:.0%}\n{rows:,}" if len(shown) <= MOST_CURVES else f"{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > HALF else INK)
    labels = [short(names[place], 18) for place in shown]
    axes.set_xticks(range(len(labels)), labels, rotation=45 if len(labels) > 4 else 0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="forecast class", ylabel=f"true {scored.problem.target}")
    for side in axes.spines.values():
        side.set_visible(False)
    found = ", ".join(f"{names[place]} {shares[row, row]:.0%}" for row, place in enumerate(shown))
    right = float((actual == chosen).mean())
    at = f" (class by probability {HALF:g})" if scored.forecast.ndim == 1 else ""
    yield Plot(
        "confusion",
        "Confusion matrix",
        f"{right:.1%} of {len(actual):,} rows get the true class{at}. Rows found by class: {found}.",
        plot.png(figure),
    )


def _curves(judged: Judged) -> Iterator[Plot]:
    """ROC and precision by recall: of the positive class, or of each class against the rest."""
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

    scored = judged.scored
    if scored.problem.task == "regression":
        return
    figure, (left, right) = plot.panels(2)
    said = []
    for place, (name, probability, hit) in enumerate(_against_rest(scored)):
        false, true, _ = roc_curve(hit, probability)
        precision, recall, _ = precision_recall_curve(hit, probability)
        area, mean = float(auc(false, true)), float(average_precision_score(hit, probability))
        looks = {"color": SERIES[place % len(SERIES)], "linestyle": LINES[place % len(LINES)]}
        left.plot(false, true, label=f"{short(name, 14)}: area {area:.3f}", **looks)  # type: ignore[arg-type]
        right.plot(recall, precision, label=f"{short(name, 14)}: mean {mean:.3f}", **looks)  # type: ignore[arg-type]
        said.append(f"{name} ROC-AUC {area:.3f}, PR-AUC {mean:.3f} (share of its rows {hit.mean():.1%})")
    if not said:
        return
    left.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1)
    left.set(xlabel="false positive rate", ylabel="true positive rate (recall)", title="ROC")
    right.set(xlabel="recall", ylabel="precision", title="precision and recall")
    for axes in (left, right):
        axes.set(xlim=(0, 1.01), ylim=(0, 1.02))
        axes.grid()
    left.legend(loc="lower right")
    right.legend(loc="lower left")
    yield Plot("roc_and_precision_recall", "ROC, precision and recall", "; ".join(said) + ".", plot.png(figure))


def _against_production(judged: Judged) -> Iterator[Plot]:
    """How much the forecasts differ from those of Production, and on which slices the score is better or worse."""
    other = judged.production
    if other is None:
        return
    both = _known(other.forecast)
    if not both.any():
        return
    scored = judged.scored
    ours, theirs = scored.forecast[both], other.forecast[both]
    amounts = scored.problem.task == "regression"
    size = np.maximum(np.abs(theirs), 1e-9)
    change = ((ours - theirs) / size if amounts else ours - theirs).reshape(len(ours), -1)
    change = change[np.arange(len(change)), np.abs(change).argmax(axis=1)]
    change = change if amounts else np.clip(change, -1, 1)
    reach = max(float(np.quantile(np.abs(change), 0.99)), 1e-6)
    shown = sorted(other.changes, key=lambda each: each.worse_by)[-MOST_SLICES:]
    figure, axes = plot.panels(2 if shown else 1, height=max(plot.HEIGHT, 1.4 + SLICE_HEIGHT * len(shown)))
    axes[0].hist(np.clip(change, -reach, reach), bins=BINS, range=(-reach, reach), color=BLUE, alpha=0.8)
    axes[0].axvline(0, color=INK, linewidth=1)
    axes[0].xaxis.set_major_formatter(PercentFormatter(1.0))
    what = "relative to its forecast" if amounts else "in probability"
    axes[0].set(xlabel=f"difference to version {other.version}, {what}", ylabel="rows", title="how forecasts differ")
    if shown:
        _forest(axes[1], shown, judged)
    middle = float(np.median(np.abs(change)))
    worse = sum(each.low > 0 for each in shown)
    better = sum(each.high < 0 for each in shown)
    yield Plot(
        "against_production",
        f"Against version {other.version} in Production",
        f"Half of {int(both.sum()):,} forecasts differ by less than {middle:.2%} ({what}) from version {other.version}."
        + (f" Of {len(shown)} slices, {better} are surely better and {worse} surely worse." if shown else ""),
        plot.png(figure),
    )


def _forest(axes: Axes, shown: list[SliceChange], judged: Judged) -> None:
    places = np.arange(len(shown))
    worse = np.array([each.worse_by for each in shown])
    reach = np.array([[each.worse_by - each.low, each.high - each.worse_by] for each in shown]).T
    colours = [ORANGE if each.low > 0 else BLUE if each.high < 0 else MUTED for each in shown]
    axes.hlines(places, worse - reach[0], worse + reach[1], colors=colours, linewidth=2)
    axes.scatter(worse, places, color=colours, zorder=3)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(places, [short(each.name) for each in shown])
    axes.set(xlabel=f"{judged.scored.metric.label}: left of 0 is better, right is worse", title="score by slice, 95 %")


def _explained(judged: Judged) -> Iterator[Plot]:
    if judged.unexplained:
        return explained_cases.failed(judged.unexplained)
    return explained_cases.plots(judged.scored.problem, judged.explained)


def _of_production(judged: Judged) -> Scored | None:
    """The rows that Production can forecast, with its forecasts."""
    if judged.production is None:
        return None
    scored, forecast = judged.scored, judged.production.forecast
    both = _known(forecast)
    if not both.any():
        return None
    whole = replace(scored, forecast=forecast, bounds=np.full((len(forecast), 2), np.nan))
    return whole.where(both)


def _known(forecast: Floats) -> NDArray[np.bool_]:
    """The rows with a forecast."""
    return np.asarray(np.isfinite(forecast).reshape(len(forecast), -1).all(axis=1), dtype=np.bool_)


def _named(judged: Judged) -> str:
    return f"version {judged.production.version} in Production" if judged.production else ""


def _from_zero(axes: Axes, judged: Judged) -> None:
    if judged.scored.metric.better == "lower":
        axes.set_ylim(bottom=0)


def _amount(value: float, relative: bool) -> str:
    return f"{value:.1%}" if relative else f"{value:,.3g}"


def _hits(scored: Scored) -> tuple[Floats, Floats]:
    """Probabilities, and whether they came true; of more than two classes those of all classes together."""
    if scored.forecast.ndim == 1:
        return scored.forecast, scored.actual
    hits = np.arange(scored.forecast.shape[1]) == scored.actual.astype(np.int64)[:, None]
    return scored.forecast.ravel(), hits.astype(np.float64).ravel()


def _class_names(scored: Scored) -> tuple[str, ...]:
    if scored.forecast.ndim > 1:
        return scored.classes
    others = [name for name in scored.classes if name != scored.problem.positive]
    return (others[0] if len(others) == 1 else "others", scored.problem.positive)


def _against_rest(scored: Scored) -> Iterator[tuple[str, Floats, Floats]]:
    """Each class that has rows and other rows, the most frequent ones first."""
    if scored.forecast.ndim == 1:
        columns = [(scored.problem.positive, scored.forecast, scored.actual)]
    else:
        actual = scored.actual.astype(np.int64)
        often = np.argsort(-np.bincount(actual, minlength=len(scored.classes)), kind="stable")[:MOST_CURVES]
        columns = [
            (scored.classes[place], scored.forecast[:, place], (actual == place).astype(np.float64)) for place in often
        ]
    yield from (each for each in columns if 0 < each[2].mean() < 1)


PLOTS: tuple[Callable[[Judged], Iterator[Plot]], ...] = (
    _overview,
    _by_key,
    _by_period,
    _by_slice,
    _against_production,
    _explained,
    _residuals,
    _coverage,
    _calibration,
    _confusion,
    _curves,
)
