"""The plots of a sweep: the score of each trial, and what the searched settings matter."""

from collections.abc import Iterator, Mapping, Sequence

from matplotlib import style
from matplotlib.ticker import MaxNLocator

from lockgate.problem.metrics import Metric
from lockgate.reports import plot
from lockgate.reports.plot import BLUE, HEIGHT, LOOKS, MUTED, ORANGE, Plot
from lockgate.sweep.trials import PRESENT, TrialRecord, best_of

MOST_NAMES = 15
SWEEP_PLOTS = "sweep_plots.json"


def of_sweep(trials: Sequence[TrialRecord], importances: Mapping[str, float], metric: Metric) -> list[Plot]:
    """The plots of a sweep with at least one complete trial."""
    with style.context(LOOKS):
        return [*_history(trials, metric), *_importances(importances)]


def _history(trials: Sequence[TrialRecord], metric: Metric) -> Iterator[Plot]:
    complete = [trial for trial in trials if trial.together is not None]
    best = best_of(trials)
    if best is None or best.together is None:
        return
    figure, [axes] = plot.panels()
    numbers = [trial.number for trial in complete]
    axes.scatter(numbers, [trial.together or 0.0 for trial in complete], color=BLUE, s=18, label="complete trial")
    so_far = [best_of(complete[: place + 1]) for place in range(len(complete))]
    axes.step(
        numbers, [each.together or 0.0 for each in so_far if each], where="post", color=ORANGE, label="best so far"
    )
    if complete[0].number == PRESENT:
        axes.axhline(complete[0].together or 0.0, color=MUTED, linestyle="--", label="present settings (trial 0)")
    axes.set(xlabel="trial", ylabel=f"{metric.label} on the inner folds ({metric.better} is better)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    axes.legend(loc="best")
    ended = {state: sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")}
    counts = ", ".join(f"{count} {state}" for state, count in ended.items() if count)
    yield Plot(
        "optimisation_history",
        "Score of each trial",
        f"{len(trials)} trials ({counts}); the best is trial {best.number} with {metric.label}"
        f" {metric.shown(best.together)}.",
        plot.png(figure),
    )


def _importances(importances: Mapping[str, float]) -> Iterator[Plot]:
    shown = sorted(importances.items(), key=lambda item: item[1])[-MOST_NAMES:]
    if not shown:
        return
    figure, [axes] = plot.panels(height=HEIGHT * 1.2)
    axes.barh(range(len(shown)), [share for _, share in shown], color=BLUE, height=0.7)
    axes.set_yticks(range(len(shown)), [plot.short(name, 36) for name, _ in shown])
    axes.set_xlabel("share of the spread of the scores between trials")
    axes.grid(axis="x")
    first = ", ".join(f"{name} {share:.0%}" for name, share in reversed(shown[-3:]))
    yield Plot(
        "setting_importances",
        "What the settings matter",
        f"Share of the spread of the scores between trials that a setting explains (fANOVA); the largest: {first}.",
        plot.png(figure),
    )
