"""Writes the report of a training as files beside the bundle, for DVC and the registry."""

import json
import math
from pathlib import Path

import pandas as pd

from lockgate.errors import StorageFailed
from lockgate.problem.metrics import METRICS
from lockgate.training.report import ALL_FOLDS, BLEND, Report


def write(report: Report, build: Path) -> None:
    """Write metrics.json (flat numbers), curves.csv, importances.csv, features.csv and scores.csv.

    The same training writes the same files. Raises StorageFailed if the disk is full or not writable.
    """
    try:
        build.mkdir(parents=True, exist_ok=True)
        (build / "metrics.json").write_text(json.dumps(metrics(report), indent=1) + "\n", encoding="utf-8")
        curves(report).to_csv(build / "curves.csv", index=False)
        importances(report).to_csv(build / "importances.csv", index=False)
        features(report).to_csv(build / "features.csv", index=False)
        scores(report).to_csv(build / "scores.csv", index=False)
    except OSError as error:
        raise StorageFailed(
            f"cannot write: {error.strerror}", where=str(build), hint="make room on the disk"
        ) from error


def metrics(report: Report) -> dict[str, float]:
    """Scores on all inner folds together, coverage of each fold by the others, weights and rounds, as flat names."""
    total = [score for score in report.scores if score.fold == ALL_FOLDS]
    return {
        **{
            f"inner_{name}_{score.member}": value
            for score in total
            for name, value in score.scores.items()
            if math.isfinite(value)
        },
        **{
            f"inner_coverage_{100 * share:.0f}": covered
            for share, covered in report.coverage.items()
            if not math.isnan(covered)
        },
        **{f"weight_{member}": weight for member, weight in report.weights.items()},
        **{f"rounds_{member}": rounds for member, rounds in report.rounds.items()},
        "training_rows": report.training_rows,
        **{f"dask_{name}": count for name, count in report.partitions.items()},
    }


def scores(report: Report) -> pd.DataFrame:
    """Each member and the blend on each fold and on all: a column a metric, then samples and residual_std."""
    return pd.DataFrame(
        [
            {
                "member": score.member,
                "fold": score.fold,
                **score.scores,
                "samples": score.samples,
                "residual_std": score.residual_std,
            }
            for score in report.scores
        ]
    )


def curves(report: Report) -> pd.DataFrame:
    """The score by step (from 1), member and fold; lower is better."""
    return pd.DataFrame(
        [
            (step, curve.member, curve.fold, score)
            for curve in report.curves
            for step, score in enumerate(curve.score, start=1)
        ],
        columns=["step", "member", "fold", "score"],
    )


def importances(report: Report) -> pd.DataFrame:
    """Gain of each feature in each member, as shares; the highest first."""
    rows = [
        (feature, member, share) for member, bought in report.importances.items() for feature, share in bought.items()
    ]
    return pd.DataFrame(rows, columns=["feature", "member", "share"]).sort_values(
        ["member", "share", "feature"], ascending=[True, False, True]
    )


def features(report: Report) -> pd.DataFrame:
    """Permutation importance of each feature (permutation_importance.importances); the most useful first."""
    rows = sorted(report.permutation_importances.items(), key=lambda item: (-item[1], item[0]))
    return pd.DataFrame(rows, columns=["feature", "rise_of_error"])


def summary(report: Report) -> str:
    """One line for the terminal."""
    blend = next(score for score in report.scores if score.fold == ALL_FOLDS and score.member == BLEND)
    weights = ", ".join(f"{member} {weight:.2f}" for member, weight in report.weights.items())
    metric = METRICS[report.metric]
    bias = f", bias {blend.scores['bias']:+.3f}" if "bias" in blend.scores else ""
    found = f"inner folds: {metric.label} {_rounded(blend.scores[metric.name])}{bias}"
    return f"{found}; blend of {weights}; {report.cpu_seconds:.0f} CPU-seconds"


def _rounded(score: float) -> str:
    return f"{score:.4f}" if abs(score) < 100 else f"{score:.6g}"
