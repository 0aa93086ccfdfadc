"""Writes the report of a training as files beside the bundle, for DVC and the registry."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from lockgate.errors import StorageFailed
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
        pd.DataFrame([asdict(score) for score in report.scores]).to_csv(build / "scores.csv", index=False)
    except OSError as error:
        raise StorageFailed(
            f"cannot write: {error.strerror}", where=str(build), hint="make room on the disk"
        ) from error


def metrics(report: Report) -> dict[str, float]:
    """Scores on all inner folds together, coverage of each fold by the others, weights and rounds, as flat names."""
    total = [score for score in report.scores if score.fold == ALL_FOLDS]
    return {
        **{
            f"inner_{name}_{score.member}": getattr(score, name) for score in total for name in ("rmspe", "mae", "bias")
        },
        **{
            f"inner_coverage_{100 * share:.0f}": covered
            for share, covered in report.coverage.items()
            if not math.isnan(covered)
        },
        **{f"weight_{member}": weight for member, weight in report.weights.items()},
        **{f"rounds_{member}": rounds for member, rounds in report.rounds.items()},
        "training_rows": report.training_rows,
    }


def curves(report: Report) -> pd.DataFrame:
    """Capped RMSPE by step (from 1), member and fold."""
    return pd.DataFrame(
        [
            (step, curve.member, curve.fold, score)
            for curve in report.curves
            for step, score in enumerate(curve.capped_rmspe, start=1)
        ],
        columns=["step", "member", "fold", "capped_rmspe"],
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
    return pd.DataFrame(rows, columns=["feature", "rise_of_capped_rmspe"])


def summary(report: Report) -> str:
    """One line for the terminal."""
    blend = next(score for score in report.scores if score.fold == ALL_FOLDS and score.member == BLEND)
    weights = ", ".join(f"{member} {weight:.2f}" for member, weight in report.weights.items())
    scores = f"inner folds: RMSPE {blend.rmspe:.4f}, bias {blend.bias:+.3f}"
    return f"{scores}; blend of {weights}; {report.cpu_seconds:.0f} CPU-seconds"
