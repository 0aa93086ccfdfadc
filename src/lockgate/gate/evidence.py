"""Evidence: the measurements of a candidate on the holdout, and the outcome of a check."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy and pandas are not needed for a policy's digest
    from lockgate.evaluation.leakage import LeakageReport
    from lockgate.evaluation.paired_test import PairedTest


class Outcome(StrEnum):
    """The outcome of a check or of a verdict. Only a passed version moves to Staging."""

    PASSED = "passed"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class ServingComparison:
    """The version in Production, and the paired test of the candidate against it on the rows that both can forecast."""

    version: int
    digest: str
    paired_test: "PairedTest"


@dataclass(frozen=True)
class ForecastSanity:
    """How many forecasts are not finite, how many are out of range, and how many different values there are.

    `negative` counts the forecasts below 0 of a target that cannot be below 0, and probabilities outside 0 .. 1.
    """

    not_finite: int
    negative: int
    different: int


@dataclass(frozen=True)
class Representation:
    """What the scored holdout rows hold of the training rows.

    `keys` counts the keys of the training rows, `keys_scored` those of them in the holdout (both 0 where other keys, or
    rows without keys, are held out). `missing_classes` have no scored row; `unknown_classes` were not learned.
    """

    keys: int = 0
    keys_scored: int = 0
    missing_classes: tuple[str, ...] = ()
    unknown_classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class HoldoutUse:
    """How many other versions were judged on the same holdout rows, and the full days since the first such verdict."""

    versions: int = 0
    days: int = 0


@dataclass(frozen=True)
class Evidence:
    """The measurements of a candidate on the holdout. A score is in the policy's metric, NaN if there is none.

    `interval` is the bootstrap 95 % interval of the score. `serving` is None without another version in Production,
    `linear` for a candidate without a linear member, `trained_until` and `tree_clean` if they are unknown, `leakage`
    without prepared rows for the leakage check. `holdout_use` says how often and for how long this holdout has judged;
    `batch_gap` is the largest relative difference between the forecast of a row alone and the same row in a
    batch; `uses_target_history` is False for a candidate whose features use no past targets. `holdout_from` is None for
    a holdout that is not the end of the time. Then `learned_rows` says whether the candidate was trained on the
    prepared rows, from which the holdout is split off (None: no record). `baseline` is the naive forecast in words.
    """

    score: float
    interval: tuple[float, float]
    baseline_score: float
    scored_rows: int
    serving: ServingComparison | None
    linear: "PairedTest | None"
    holdout_use: HoldoutUse
    holdout_from: date | int | None
    trained_until: date | int | None
    learned_rows: bool | None
    has_signature: bool
    batch_gap: float
    sanity: ForecastSanity
    tree_clean: bool | None
    leakage: "LeakageReport | None"
    uses_target_history: bool
    baseline: str = "the seasonal naive forecast"
    representation: Representation = Representation()


@dataclass(frozen=True)
class NoEvidence:
    """Why there are no forecasts to judge: the candidate crashed, hung, took too much memory, failed, or is gone."""

    message: str


@dataclass(frozen=True)
class Check:
    """One check of the gate with its outcome, a message, and the cells of a table: the measured value and the limit.

    Both cells are empty where the message says all.
    """

    name: str
    outcome: Outcome
    message: str
    measured: str = ""
    limit: str = ""
