"""All findings of one round of the monitor, from logged rows to the state of each rule. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from lockgate.bundle.snapshot import Snapshot
from lockgate.monitoring import rules, scores
from lockgate.monitoring.counted import Counted, counted
from lockgate.monitoring.drift import Drift, drift, feature_drift
from lockgate.monitoring.live import Live
from lockgate.monitoring.live_features import LiveFeatures
from lockgate.monitoring.requests import AnswerCount, by_window
from lockgate.monitoring.rules import Ruled, State
from lockgate.monitoring.scores import CalibrationBin, ClassScore, Score, Scorer
from lockgate.monitoring.windows import Ints, Windows
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import MonitorParams


@dataclass(frozen=True)
class Production:
    """The version in Production, since when it is there, and when the newest version was registered."""

    version: int
    since: datetime | None
    newest_version_at: datetime | None


@dataclass(frozen=True)
class Terms:
    """The rules, the limit of the metric, the windows, how scores are counted, and the roles of the forecasts.

    `answers` are the requests that servers have counted; without any, there is no rule on them. `features` are those of
    the logged rows; `no_features` says why they could not be computed.
    """

    params: MonitorParams
    limit: float
    windows: Windows
    scorer: Scorer
    roles: Sequence[str]
    answers: Sequence[AnswerCount] = ()
    features: LiveFeatures | None = None
    no_features: str = ""


@dataclass(frozen=True)
class Volume:
    """Counts of the rows that were asked in the windows.

    `beyond_horizon` lie after the periods that the gate judged, `degraded` came from the fallback, `little_history` are
    of keys with few or old training rows (None: unknown). `scored` have a truth in the windows, `waiting` none yet.
    `repeated`, `too_late` and `in_period` are those of `Counted`.
    """

    asked: int
    requests: int
    by_role: tuple[tuple[str, int], ...]
    degraded: int
    beyond_horizon: int
    little_history: int | None
    scored: int
    waiting: int
    repeated: int
    too_late: int
    in_period: int


@dataclass(frozen=True)
class Findings:
    """What one round found: the rules, counts, scores over all windows, scores of each window, and drift.

    `limit` is that of the metric.
    `windows`, `drifts` and `features` (the drift of computed features) are those of the version in Production, the
    newest first. `no_drift` and `no_features` say why there is none; "" if there is one. `left_out` and
    `features_left_out` are the columns and features without a drift.
    """

    production: Production
    limit: float
    rules: tuple[Ruled, ...]
    volume: Volume
    total: Score
    windows: tuple[Score, ...]
    versions: tuple[Score, ...]
    periods: tuple[Score, ...]
    slices: tuple[Score, ...]
    classes: tuple[ClassScore, ...]
    calibration: tuple[CalibrationBin, ...]
    drifts: tuple[Drift, ...]
    no_drift: str
    left_out: tuple[str, ...]
    features: tuple[Drift, ...] = ()
    no_features: str = ""
    features_left_out: tuple[str, ...] = ()

    @property
    def firing(self) -> tuple[Ruled, ...]:
        """The rules that fire."""
        return tuple(rule for rule in self.rules if rule.state is State.FIRING)

    @property
    def blames_version(self) -> tuple[Ruled, ...]:
        """The rules that fire and blame the version in Production."""
        return tuple(rule for rule in self.firing if rule.blames_version)


def findings(live: Live, snapshot: Snapshot | None, no_drift: str, production: Production, terms: Terms) -> Findings:
    """The findings of logged rows; `no_drift` says why there is no snapshot, "" with one."""
    answered = live.of_roles(terms.roles)
    asked = answered.where(terms.windows.of_request(answered) >= 0)
    chosen = counted(answered)
    place = terms.windows.of_truth(chosen.live)
    recent = chosen.live.where(place >= 0)
    windows = _by_window(chosen.live, place, production.version, terms)
    drifts = _drifts(asked.of_version(production.version), snapshot, terms)
    features = _feature_drifts(snapshot, terms)
    scorer = terms.scorer
    return Findings(
        production,
        terms.limit,
        (*_rules(windows, drifts, no_drift, production, terms), *_feature_rule(features, snapshot, terms)),
        _volume(asked, chosen, recent, snapshot),
        scorer.score(recent),
        windows,
        tuple(scorer.by_version(recent)),
        tuple(scorer.by_period(recent)),
        tuple(scorer.by_slice(recent)),
        scores.by_class(recent),
        scores.calibration(recent),
        drifts,
        no_drift,
        snapshot.left_out if snapshot else (),
        features,
        terms.no_features if snapshot is None or snapshot.features else snapshot.no_features,
        snapshot.features.left_out if snapshot and snapshot.features else (),
    )


def _by_window(live: Live, place: Ints, version: int, terms: Terms) -> tuple[Score, ...]:
    """The score of each window by the version in Production, the newest first."""
    own = (live.about["version"] == version).to_numpy(dtype=np.bool_)
    return tuple(
        terms.scorer.score(live.where(own & (place == number)), "window", str(number))
        for number in range(terms.windows.count)
    )


def _drifts(asked: Live, snapshot: Snapshot | None, terms: Terms) -> tuple[Drift, ...]:
    if snapshot is None:
        return ()
    place, params = terms.windows.of_request(asked), terms.params
    return tuple(
        drift(snapshot, asked.where(place == number), params.drift, params.min_rows)
        for number in range(params.drift.windows)
    )


def _feature_drifts(snapshot: Snapshot | None, terms: Terms) -> tuple[Drift, ...]:
    if snapshot is None or snapshot.features is None or terms.features is None:
        return ()
    asked, params = terms.features, terms.params
    place = terms.windows.of_request(asked.live)
    return tuple(
        feature_drift(snapshot.features, asked.where(place == number), params.drift, params.min_rows)
        for number in range(params.drift.windows)
    )


def _feature_rule(features: tuple[Drift, ...], snapshot: Snapshot | None, terms: Terms) -> list[Ruled]:
    """The rule on computed features; none for a version whose snapshot has no features."""
    if snapshot is None or snapshot.features is None:
        return []
    if terms.features is None:
        return [Ruled(rules.FEATURES, State.UNKNOWN, terms.no_features)]
    return [rules.on_drift(features, terms.params.drift, rules.FEATURES, "feature")]


def _rules(
    windows: tuple[Score, ...], drifts: tuple[Drift, ...], no_drift: str, production: Production, terms: Terms
) -> list[Ruled]:
    params, now = terms.params, terms.windows.now
    found = [
        rules.on_age(production.newest_version_at, now, params),
        rules.on_production_age(production.since, now, params),
        rules.on_metric(windows[: params.metric.windows], METRICS[terms.scorer.problem.metric], terms.limit, params),
    ]
    if terms.answers:
        found.append(rules.on_errors(by_window(terms.answers, terms.windows)[: params.errors.windows], params))
    if terms.scorer.problem.task == "regression":
        found.append(rules.on_coverage(windows[: params.coverage.windows], params))
    found.append(Ruled("drift", State.UNKNOWN, no_drift) if no_drift else rules.on_drift(drifts, params.drift))
    return found


def _volume(asked: Live, chosen: Counted, recent: Live, snapshot: Snapshot | None) -> Volume:
    about, horizon = asked.about, asked.problem.horizon
    beyond = int((about["horizon"] > horizon).sum()) if asked.problem.kind == "panel" else 0
    few = None if snapshot is None else int(about["key"].isin(snapshot.little_history).sum())
    return Volume(
        len(asked),
        int(about["request_id"].nunique()),
        tuple((str(role), int(count)) for role, count in about["role"].value_counts().sort_index().items()),
        int(about["degraded"].astype(bool).sum()),
        beyond,
        few,
        int(recent.scored.sum()),
        int(chosen.live.waiting.sum()),
        chosen.repeated,
        chosen.too_late,
        chosen.in_period,
    )
