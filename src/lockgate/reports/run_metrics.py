"""The names of a run's metrics in MLflow: a group before the slash, equal for all versions and problems.

MLflow's compare page has a section for each group, and a chart for each metric in it.
"""

import re
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from lockgate.gate.verdict import metric_of

ALL_FOLDS = "all"
NO_SCORE = ("member", "fold", "samples", "residual_std")
WEIGHTS, ROUNDS, TRAINING = "weights/", "rounds/", "training/"
OTHER_FORECASTS = {"_naive": "naive", "_linear": "linear", "_serving": "serving"}
OF_VERDICT = {
    "over_serving_low": "serving/worse_by_low",
    "over_serving_high": "serving/worse_by_high",
    "noise_floor": "holdout/noise_floor",
    "over_floor": "holdout/above_noise_floor",
    "holdout_uses": "holdout_use/other_versions",
    "holdout_days": "holdout_use/days",
}
EARLIER = (("weight_", WEIGHTS), ("rounds_", ROUNDS), ("training_", TRAINING))
FORBIDDEN = re.compile(r"[^\w\-. :/]", re.ASCII)  # in a name of MLflow
LONGEST = 250


def of_training(recorded: Mapping[str, float], scores: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The metrics of a training: the numbers of metrics.json, and the rows of scores.csv."""
    chosen = {current_name(name): float(value) for name, value in recorded.items()}
    inner = {
        f"inner_folds/{name}/{row['member']}": float(value)
        for row in scores
        if row["fold"] == ALL_FOLDS
        for name, value in row.items()
        if name not in NO_SCORE and isinstance(value, int | float) and isfinite(value)
    }
    coverage = {
        f"inner_folds/{name.removeprefix('inner_')}": value
        for name, value in chosen.items()
        if name.startswith("inner_coverage_")
    }
    return inner | coverage | {name: value for name, value in chosen.items() if not name.startswith("inner_")}


def of_choice(rounds: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """Rounds and weights of the members."""
    return {f"{ROUNDS}{name}": float(each) for name, each in rounds.items()} | {
        f"{WEIGHTS}{name}": each for name, each in weights.items()
    }


def of_verdict(metrics: Mapping[str, float]) -> dict[str, float]:
    """The finite metrics of a verdict."""
    score = metric_of(metrics).name
    return {_of_verdict(name, score): value for name, value in metrics.items() if isfinite(value)}


def _of_verdict(name: str, score: str) -> str:
    for end, forecast in OTHER_FORECASTS.items():
        if name == f"{score}{end}":
            return f"{forecast}/{score}"
    return OF_VERDICT.get(name, f"holdout/{name}")


def of_slices(metric: str, scores: Mapping[str, float]) -> dict[str, float]:
    """The finite scores of slices by name, in names that MLflow takes."""
    return {
        f"slices/{metric}/{FORBIDDEN.sub('_', name).replace('/', '_')}"[:LONGEST]: value
        for name, value in scores.items()
        if isfinite(value)
    }


def of_coverage(coverage: Iterable[tuple[float, float]]) -> dict[str, float]:
    """The share of targets within the bounds, by confidence."""
    return {f"coverage/bounds_of_{100 * stated:.0f}": measured for stated, measured in coverage}


def current_name(name: str) -> str:
    """The present name of a metric that an earlier release logged; other names stay."""
    for before, now in EARLIER:
        if name.startswith(before):
            return f"{now}{name.removeprefix(before)}"
    return name
