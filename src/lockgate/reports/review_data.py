"""What a reviewer needs to decide on a version, as plain data: the same for Markdown, HTML reports and pages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from lockgate.database.verdicts import StoredVerdict
from lockgate.gate import verdict
from lockgate.gate.checks import WITHIN_LIMIT
from lockgate.gate.evidence import Outcome
from lockgate.problem.metrics import Metric
from lockgate.reports.record_diff import DifferentValue, diff

ALL_FOLDS, BLEND, LINEAR = "all", "blend", ("linear", "ridge")  # as the training names them
THIS_VERSION, LINEAR_ALONE = "candidate", "linear member alone"  # as gate.verdict.scores names them
DIGEST_LENGTH = 12
UNKNOWN = "unknown"
LINEAGE = {
    "git_commit": "git commit",
    "git_dirty": "changed since the commit",
    "rows_digest": "training rows (SHA-256)",
    "holdout_digest": "holdout (SHA-256)",
    "dvc_lock_digest": "dvc.lock (SHA-256)",
    "seed": "seed",
    "sweep": "sweep that chose the settings",
    "sweep_trial": "trial of the sweep",
    "sweep_trials": "trials compared",
}


@dataclass(frozen=True)
class CheckRow:
    """A check of the gate: its sentence, and the cells of a table."""

    name: str
    outcome: str
    measured: str
    limit: str
    says: str


@dataclass(frozen=True)
class ForecastRow:
    """The score of a forecast on the holdout and on the inner folds of the training; empty where there is none."""

    name: str
    holdout: str
    inner_folds: str


@dataclass(frozen=True)
class Review:
    """A verdict and what stands behind it. The checks that failed come first.

    `serving` is the version in Production that the verdict compares with, None without one. `changes` are the params
    and the lineage that differ from it, None if its record is missing.
    """

    model: str
    version: int
    run_id: str
    verdict_id: int
    outcome: str
    decided_at: str
    metric: Metric
    score: str
    limit: str
    checks: tuple[CheckRow, ...]
    forecasts: tuple[ForecastRow, ...]
    serving: int | None
    changes: tuple[DifferentValue, ...] | None
    advice: tuple[tuple[str, str], ...]
    lineage: tuple[tuple[str, str], ...]
    selection: str = ""  # how a sweep chose the settings; "" without one

    @property
    def failed(self) -> tuple[CheckRow, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if check.outcome != Outcome.PASSED)

    @property
    def headline(self) -> str:
        """The outcome and the score in one line, without the outcome's word."""
        of = f"all {len(self.checks)} checks passed"
        if self.failed:
            of = f"{len(self.failed)} of {len(self.checks)} checks did not pass"
        return f"{of}; {self.metric.label} {self.score}, limit {self.limit}" if self.score and self.limit else of


@dataclass(frozen=True)
class RecordOfVersion:
    """A version's record in Postgres: its number, its run, and what was kept at its registration."""

    version: int
    run_id: str
    kept: Mapping[str, Any]


def review_of(found: StoredVerdict, own: RecordOfVersion, serving: RecordOfVersion | None) -> Review:
    """The review of a verdict. `serving` is the version that it compares with."""
    metric = verdict.metric_of(found.metrics)
    checks = tuple(sorted(map(_check, found.checks), key=lambda check: check.outcome == Outcome.PASSED))
    return Review(
        model=found.model,
        version=found.version,
        run_id=own.run_id,
        verdict_id=found.id,
        outcome=found.outcome,
        decided_at=f"{found.decided_at:%F %H:%M}",
        metric=metric,
        score=_score(found.metrics, metric),
        limit=next((check.limit for check in checks if check.name == WITHIN_LIMIT), ""),
        checks=checks,
        forecasts=tuple(_forecasts(found.metrics, metric, own.kept.get("candidates", ()))),
        serving=serving.version if serving else None,
        changes=_changes(serving.kept, own.kept) if serving else None,
        advice=tuple(verdict.advice(found.checks)),
        lineage=tuple(_lineage(own.kept)),
        selection=_selection(_texts(own.kept.get("lineage", {}))),
    )


def _selection(lineage: Mapping[str, str]) -> str:
    """How many trials a sweep compared before it chose the settings: the scores of the chosen one are too good."""
    if "sweep" not in lineage:
        return ""
    chosen = f"Trial {lineage.get('sweep_trial', UNKNOWN)} of sweep {lineage['sweep']} has the settings of this version"
    return (
        f"{chosen}: {lineage.get('sweep_trials', UNKNOWN)} trials were compared on the inner folds, so its scores there"
        " are too good. The sweep did not use the holdout."
    )


def _check(given: Mapping[str, Any]) -> CheckRow:
    """A stored check; those of earlier releases have no cells."""
    measured = str(given.get("measured") or given["says"])
    return CheckRow(given["name"], given["outcome"], measured, str(given.get("limit") or ""), given["says"])


def _score(metrics: Mapping[str, float], metric: Metric) -> str:
    score, low, high = (metrics.get(f"{metric.name}{end}", float("nan")) for end in ("", "_low", "_high"))
    if not isfinite(score):
        return ""
    interval = f" (95 %: {metric.shown(low)} to {metric.shown(high)})" if isfinite(low) and isfinite(high) else ""
    return metric.shown(score) + interval


def _forecasts(
    metrics: Mapping[str, float], metric: Metric, candidates: Sequence[Mapping[str, Any]]
) -> Iterator[ForecastRow]:
    """This version, the other forecasts of the holdout, then the members that have scores on inner folds only."""
    inner = {
        str(row["member"]): metric.shown(row[metric.name])
        for row in candidates
        if row.get("fold") == ALL_FOLDS and isinstance(row.get(metric.name), int | float)
    }
    linear = next((inner.pop(name) for name in LINEAR if name in inner), "")
    of_name = {THIS_VERSION: inner.pop(BLEND, ""), LINEAR_ALONE: linear}
    for name, score in verdict.scores(metrics):
        yield ForecastRow("this version" if name == THIS_VERSION else name, score, of_name.get(name, ""))
    for member, score in inner.items():
        yield ForecastRow(f"member {member}", "", score)


def _changes(serving: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[DifferentValue, ...]:
    """The lineage that differs, with shortened digests, and the params if both are on record."""
    lineage = diff(*(dict(_lineage(_without_lock(kept))) for kept in (serving, own))).differ
    if not (serving.get("params") and own.get("params")):
        return lineage
    return diff(_texts(serving["params"]), _texts(own["params"])).differ + lineage


def _without_lock(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The record without the digest of dvc.lock, which differs in any two versions."""
    return {"lineage": {name: each for name, each in kept.get("lineage", {}).items() if name != "dvc_lock_digest"}}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}


def _lineage(kept: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The known lineage of a version, in the order of LINEAGE; other names keep their place behind it."""
    found = _texts(kept.get("lineage", {}))
    for name in dict.fromkeys([*LINEAGE, *found]):
        if found.get(name, UNKNOWN) not in (UNKNOWN, "None"):
            yield LINEAGE.get(name, name.replace("_", " ")), _short(name, found[name])


def _short(name: str, value: str) -> str:
    return value[:DIGEST_LENGTH] if name.endswith(("_digest", "_commit")) else value
