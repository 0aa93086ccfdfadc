"""params.yaml: every setting that changes results, checked before a stage runs."""

import difflib
import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lockgate.errors import BadConfiguration
from lockgate.problem.description import MetricName, Problem
from lockgate.problem.judged import judged
from lockgate.problem.metrics import METRICS, Metric, Task
from lockgate.system import strict_yaml

PARAMS_FILE = Path("params.yaml")
PROBLEM_PAGE, PARAMS_PAGE = "docs/reference/problem.md", "docs/reference/params.md"
UNKNOWN = "extra_forbidden"  # pydantic's type of the error
LONGEST_SHOWN = 80  # characters of a wrong value in a message

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Penalty = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Depth = Annotated[int, Field(ge=1, le=16)]
Rounds = Annotated[int, Field(ge=1, le=20_000)]
DaysAgo = Annotated[list[Annotated[int, Field(ge=0, le=100_000)]], Field(max_length=12)]
Offset = Literal["ridge", "group_mean"]
Target = Literal["log", "ratio"]
Source = Literal["files", "generated"]

# Earlier names of keys and values, which runs and bundles of earlier versions have recorded.
RENAMED = {
    "calm": "remove_daily_residual",
    "folds_days_back": "fold_ends_days_ago",
    "grids": "cutoff_shifts",
    "habit": "group_mean",
    "learning_rate_times": "learning_rate_factor",
    "max_rmspe": "limit",
    "max_rmspe_over_serving": "over_serving",
    "max_slice_over_serving": "over_slice",
}

# Earlier keys whose place has changed, too.
MOVED = {"metric": "problem.metric", "split.holdout_days": "problem.horizon"}

WINDOW = r"^[1-9][0-9]{0,3}[hd]$"  # the length of a window: hours or days
ADDRESS = r"^[a-z]+://[^ ]+$"  # of a Dask scheduler
WINDOW_LENGTH = re.compile(WINDOW)

# An Ed25519 key as `openssl pkey -pubout` prints it between its two lines: a fixed beginning, then 32 bytes.
PUBLIC_KEY = re.compile(r"MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=")


def _public_key(text: Any) -> Any:
    if not (isinstance(text, str) and PUBLIC_KEY.fullmatch(text)):
        raise ValueError("not an Ed25519 public key; print one with: openssl pkey -in key.pem -pubout")
    return text


PublicKey = Annotated[str, BeforeValidator(_public_key)]


Change = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # a difference of scores, in units of the metric


class Section(BaseModel):
    """A part of params.yaml: no unknown keys, no silent coercion, never changed after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class GeneratorParams(Section):
    """The Rossmann-like chain that `source: generated` makes."""

    seed: Seed = 7
    """Random seed of the generated chain. The same seed gives the same chain."""
    stores: Annotated[int, Field(ge=5, le=1_000_000)] = 60
    """Number of stores."""
    days: Annotated[int, Field(ge=400, le=2000)] = 900
    """Number of days, the holdout included."""
    noise: Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False)] = 0.072
    """Standard deviation of the noise in log sales; about the RMSPE of a perfect forecast."""


class LightgbmParams(Section):
    """Settings of LightGBM: offset, target, and the size and randomness of its trees."""

    offset: Offset = "ridge"
    """Forecast that the booster starts from: `ridge` is the forecast of the store's ridge, `group_mean` is the mean of
    the store's group (store x weekday x promo).
    """
    target: Target = "ratio"
    """Training target: `log` is log sales minus the offset; `ratio` is sales divided by the offset, with weights that
    make squared error on it the squared percentage error.
    """
    remove_daily_residual: bool = False
    """True: the day's chain-wide ridge residual is subtracted from the training target. It is always subtracted for
    cutoffs with under 300 days of history.
    """
    learning_rate: Share = 0.05
    """Factor on each tree's output."""
    leaves: Annotated[int, Field(ge=2, le=1024)] = 15
    """Maximum number of leaves of a tree."""
    min_rows_in_leaf: Annotated[int, Field(ge=0)] = 0
    """Minimum number of rows in a leaf; 0 is chosen by the number of rows."""
    feature_share: Share = 0.5
    """Share of the features that each tree uses."""
    row_share: Share = 0.7
    """Share of the rows that each tree uses."""
    l2: Penalty = 5.0
    """L2 penalty on the values of the leaves."""


class XgboostParams(Section):
    """Settings of XGBoost: as those of LightGBM, with trees of a given depth."""

    offset: Offset = "ridge"
    target: Target = "ratio"
    remove_daily_residual: bool = False
    learning_rate: Share = 0.05
    depth: Depth = 5
    """Maximum depth of a tree."""
    min_rows_in_leaf: Annotated[int, Field(ge=0)] = 0
    feature_share: Share = 0.5
    row_share: Share = 0.7
    l2: Penalty = 5.0


class CatboostParams(Section):
    """Settings of CatBoost: as those of XGBoost, with symmetric trees."""

    offset: Offset = "ridge"
    target: Target = "ratio"
    remove_daily_residual: bool = False
    learning_rate: Share = 0.08
    depth: Depth = 5
    row_share: Share = 0.7
    l2: Penalty = 5.0


class MembersParams(Section):
    """Settings of the boosters; the ridge, also a member, has no settings."""

    lightgbm: LightgbmParams = LightgbmParams()
    xgboost: XgboostParams = XgboostParams()
    catboost: CatboostParams = CatboostParams()

    def with_learning_rates(self, factor: float) -> "MembersParams":
        """The same settings with each learning rate multiplied by a factor."""
        return MembersParams.model_validate(
            {
                name: given | {"learning_rate": given["learning_rate"] * factor}
                for name, given in self.model_dump().items()
            }
        )


BoosterParams = LightgbmParams | XgboostParams | CatboostParams


class TrainingParams(Section):
    """How rounds and weights are chosen on inner time folds, each a window of the horizon before the holdout."""

    fold_ends_days_ago: DaysAgo = []
    """One inner fold for each entry: the periods (days for Rossmann) between the end of the fold and the last training
    period. An empty list is chosen by period, horizon and length of the history. 336 is the season of the holdout a
    year earlier.
    """
    cutoff_shifts: DaysAgo = []
    """Training cutoffs lie `problem.horizon` apart. Each entry adds the same cutoffs again, this many periods earlier.
    An empty list is chosen by the period.
    """
    max_rounds: Rounds = 200
    """Maximum number of boosting rounds."""
    patience: Rounds = 20
    """Rounds without a better score before a booster stops. It is also the minimum number of rounds."""
    weight_shrinkage: Penalty = 0.2
    """Shrinks the weights of the blend towards equal shares for the boosters and a third of such a share for the ridge.
    0 does not shrink.
    """
    min_history_days: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Minimum periods of history at a training cutoff; 0 is chosen by the data. An inner fold needs these days and two
    horizons before its window.
    """


class FastParams(Section):
    """Keys of `training` that `profile: fast` replaces."""

    fold_ends_days_ago: DaysAgo = []
    """Replaces `training.fold_ends_days_ago` with `profile: fast`."""
    cutoff_shifts: DaysAgo = []
    """Replaces `training.cutoff_shifts` with `profile: fast`."""
    max_rounds: Rounds = 60
    """Replaces `training.max_rounds` with `profile: fast`."""
    patience: Rounds = 15
    """Replaces `training.patience` with `profile: fast`."""
    learning_rate_factor: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 1.8
    """Multiplies each `learning_rate` with `profile: fast`, because there are fewer rounds."""


class GateParams(Section):
    """Conditions for Staging: the policy of the gate. Any change makes a new policy with its own digest."""

    limit: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Check `within limit`: the score on the holdout must be better than this limit. In units of the metric: above 0
    for an error, at most 1 for a share, below 1 for R2.
    """
    over_serving: Change
    """Check `no worse than serving`: maximum of the upper 95 % bound of the difference to the version in Production, in
    units of the metric, towards worse. At most 1 for a share and for R2.
    """
    over_slice: Change
    """Check `no slice worse than serving`: the version is refused if the lower 95 % bound of a slice's difference,
    towards worse, is above this limit. At most 1 for a share and for R2.
    """
    min_gain_over_baseline: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    """Check `better than naive`: the error must be this share below the error of the naive forecast
    (`problem.baseline`). The error is the score itself, and for R2 the root of 1 - R2.
    """
    min_share_of_naive: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.1
    """Check `plausible score`: the verdict is inconclusive if the error is at most this share of the error of the naive
    forecast.
    """
    min_scored_rows: Annotated[int, Field(ge=1)] = 30
    """Check `enough rows`: minimum number of scored rows in the holdout."""
    max_holdout_uses: Annotated[int, Field(ge=1)] = 100
    """Check `holdout not overused`: fewer other versions than this may have been judged on the same holdout."""
    max_holdout_days: Annotated[int, Field(ge=1, le=36_500)] = 365
    """Check `holdout not overused`: days, by the database's clock, since the first verdict on the same holdout. More
    are inconclusive.
    """
    verdict_valid_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days, by the database's clock, after which a verdict expires. `dvc repro` or `lockgate validate` judges again."""
    approval_required: bool = False
    """True: `lockgate promote` needs an approval of the version."""
    two_persons: bool = False
    """True: an approval is needed, and the approver differs from the validator and from the promoter."""
    clean_tree_required: bool = False
    """Check `code committed`: true requires that the version was trained from committed code."""
    auto_promote: bool = False
    """True: a version that passes goes to Production without a person; the guard decides as for a person, so a missing
    approval leaves it in Staging ([why](../decisions/auto-promote.md)).
    """
    trusted_keys: list[PublicKey] = []
    """Ed25519 public keys. If the list is not empty, a bundle must be signed by one of them."""


class Policy(GateParams):
    """The gate's conditions, the metric that they are measured in, and what they judge in words (problem/judged.py)."""

    metric: MetricName
    target: str = ""
    where: str = ""
    split: str = ""
    baseline: str = ""
    slices: str = ""

    @property
    def measure(self) -> Metric:
        """The metric of the table."""
        return METRICS[self.metric]


class GuardParams(Section):
    """Which models of the MLflow server the guard covers beside those that are covered by name."""

    default: Literal["open", "closed"] = "open"
    """`open`: the guard covers the models that Lockgate has registered and those of `lockgate guard cover`. `closed`:
    it covers every model of the MLflow server. `lockgate up` and `lockgate guard install` apply the key.
    """


Window = Annotated[str, Field(pattern=WINDOW)]
Days = Annotated[int, Field(ge=1, le=3650)]
Windows = Annotated[int, Field(ge=1, le=60)]
Part = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class WindowRule(Section):
    """A rule that fires if `bad` of the last `windows` windows break it, so that one bad window does not."""

    bad: Windows = 3
    """Number of windows that must break the rule."""
    windows: Windows = 5
    """Number of windows that the rule looks at."""

    @model_validator(mode="after")
    def _is_possible(self) -> "WindowRule":
        if self.bad > self.windows:
            raise ValueError(f"bad is {self.bad}, and there are {self.windows} windows")
        return self


class MetricRule(WindowRule):
    """The score of the version in Production is worse than the limit; without a limit, that of the gate holds."""

    limit: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Rule `metric`: a window breaks it if the score of the version in Production is not better than this limit, in
    units of the metric; null: `gate.limit`.
    """


class CoverageRule(WindowRule):
    """The share of truths within their bounds is this much below the stated confidence."""

    shortfall: Part = 0.1
    """Rule `coverage`: a window breaks it if the share of truths within their bounds is this much below the stated
    confidence.
    """


class DriftRule(WindowRule):
    """A column has another distribution than in training, by its stability index and by a two-sample test."""

    index: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.25
    """Rule `drift`: a column breaks it if its population stability index is above this limit, and above the index of
    every window of the training rows that is as long.
    """
    significance: Part = 0.01
    """Rule `drift`: a column breaks it only if the p-value of its two-sample test, times the number of columns, is
    below this level.
    """


class ErrorRule(WindowRule):
    """This share of the requests to servers got no forecast."""

    limit: Part = 0.05
    """Rule `error rate`: a window breaks it if this share of the requests to `lockgate serve` got no forecast (HTTP
    status 400 or more).
    """


class MonitorParams(Section):
    """When `lockgate monitor` alerts.

    A rule on windows fires if `bad` of the last `windows` windows break it. A window with fewer than `monitor.min_rows`
    rows, or without a number, is unknown and never good.
    """

    window: Window = "1d"
    """Length of a window: hours (`h`) or days (`d`). `--window` replaces it."""
    min_rows: Annotated[int, Field(ge=1)] = 30
    """A window with fewer rows is unknown."""
    new_version_days: Days = 7
    """Rule `new version` fires if this many days have passed since the newest version was registered."""
    production_days: Days = 90
    """Rule `age of Production` fires if the version has been in Production for this many days."""
    metric: MetricRule = MetricRule()
    coverage: CoverageRule = CoverageRule()
    drift: DriftRule = DriftRule()
    errors: ErrorRule = ErrorRule()


class EngineParams(Section):
    """Where work runs. The keys are in no policy and in no stage of dvc.yaml: the same work runs at another place."""

    kind: Literal["process", "dask"] = "process"
    """`process` runs all work in the process of the command; `dask` runs it on the workers of a Dask cluster
    ([how](../how-to/dask.md)). `LOCKGATE_DASK`, the address of a scheduler, replaces both keys.
    """
    address: Annotated[str, Field(pattern=ADDRESS)] | None = None
    """Address of the Dask scheduler, such as `tcp://host:8786`; null: that of `lockgate up --workers`."""
    sample_keys: Annotated[int, Field(ge=10, le=1_000_000)] = 2000
    """On Dask: maximum number of keys of a panel from which training learns what all keys share."""
    booster_keys: Annotated[int, Field(ge=10)] | None = None
    """On Dask: number of keys of a panel, about, whose rows LightGBM and XGBoost learn, where those of all keys do not
    fit the memory of the workers; null: all keys. The histories and the intervals are always those of all keys.
    """
    part_rows: Annotated[int, Field(ge=100, le=15_000_000)] = 500_000
    """On Dask: number of rows of a part of the prepared data of a panel, about; a part holds all rows of its keys. A
    worker needs memory for one part in each thread. After a change, run `dvc repro --force prepare`.
    """


class SearchRange(Section):
    """Numbers from `low` to `high`, both included; with `log`, equal factors are equally likely."""

    low: Annotated[int | float, Field(allow_inf_nan=False)]
    high: Annotated[int | float, Field(allow_inf_nan=False)]
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> "SearchRange":
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high is {self.high:g}: low must be below high")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}: with log: true it must be above 0")
        return self


def _range_or_list(given: Any) -> Any:
    if isinstance(given, dict | SearchRange) or (isinstance(given, list) and len(given) > 1):
        return given
    raise ValueError("give a range {low: 1, high: 9} or a list of at least 2 values")


SearchDimension = Annotated[SearchRange | list[Any], BeforeValidator(_range_or_list)]


class Params(Section):
    """The whole of params.yaml."""

    problem: Problem
    seed: Seed = 7
    """Random seed of the training, of the permutation importance and of the bootstrap in `lockgate backtest`."""
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    """Number of threads of the boosters."""
    profile: Literal["full", "fast"] = "full"
    """`full` uses the keys of `training`; `fast` replaces them by the keys of `fast` and trains in a fifth of the CPU
    time or less.
    """
    source: Source = "files"
    """`files` reads the files of `problem.sources` in data/raw; `generated` draws a chain of stores with the keys of
    `generator`.
    """
    generator: GeneratorParams = GeneratorParams()
    members: MembersParams = MembersParams()
    training: TrainingParams = TrainingParams()
    fast: FastParams = FastParams()
    gate: GateParams
    monitor: MonitorParams = MonitorParams()
    guard: GuardParams = GuardParams()
    engine: EngineParams = EngineParams()
    sweep: dict[str, SearchDimension] = {}
    """Search space of `lockgate sweep`: for each key of params.yaml by its dotted name a range `{low: 0.02, high: 0.2,
    log: true}` or a list of values. Empty: learning rate, size, shares and penalty of every booster
    ([sweep](../how-to/sweep.md)).
    """

    @property
    def horizon(self) -> int:
        """The periods to forecast; 0 without a horizon."""
        return self.problem.horizon or 0

    @property
    def model_name(self) -> str:
        """The registered model's name in MLflow."""
        return f"{self.problem.name}-ensemble"

    @property
    def policy(self) -> Policy:
        """The gate's policy: the keys under `gate`, and the keys of the problem on which a verdict depends."""
        return Policy.model_validate({"metric": self.problem.metric, **judged(self.problem), **self.gate.model_dump()})

    def in_force(self) -> "Params":
        """These params with the changes of their profile applied."""
        if self.profile == "full":
            return self
        training = self.training.model_copy(update=self.fast.model_dump(exclude={"learning_rate_factor"}))
        return self.model_copy(
            update={"training": training, "members": self.members.with_learning_rates(self.fast.learning_rate_factor)}
        )


def current_name(recorded: str) -> str:
    """The present name of a recorded key or value."""
    return RENAMED.get(recorded, recorded)


def load_params(path: Path) -> Params:
    """Read and check params.yaml; the changes of the profile are applied.

    Raises BadConfiguration for a file that is missing, is not YAML, or holds an unknown key or a value out of range.
    """
    return params_of(read_document(path), path)


def read_document(path: Path) -> dict[str, Any]:
    """The mapping in a params file, unchecked. Raises BadConfiguration if it cannot be read."""
    try:
        raw = strict_yaml.parse(path.read_bytes())
    except strict_yaml.Malformed as error:
        raise BadConfiguration(
            f"the params cannot be read: {error}",
            where=str(path),
            hint="correct this line; see: git diff params.yaml",
        ) from error
    except OSError as error:
        raise BadConfiguration(
            f"the params cannot be read: {error.strerror}",
            where=str(path),
            hint="go to the project's folder, or restore params.yaml from git",
        ) from error
    if not isinstance(raw, dict):
        raise BadConfiguration("the params file is not a mapping", where=str(path), hint="restore params.yaml from git")
    return raw


def params_of(raw: dict[str, Any], path: Path) -> Params:
    """The checked params of a document, with the changes of the profile. Raises BadConfiguration."""
    try:
        params = Params.model_validate(raw).in_force()
    except ValidationError as error:
        raise _as_configuration_error(path, error, raw) from error
    _require_limits_of_metric(path, params.policy, params.problem.task, params.monitor.metric.limit)
    return params


def _require_limits_of_metric(path: Path, policy: Policy, task: Task, of_monitor: float | None = None) -> None:
    """Raise BadConfiguration for a limit that no forecast or every forecast can reach in this metric."""
    metric, widest = policy.measure, policy.measure.widest_for(task)
    limits = {"gate.limit": policy.limit, "monitor.metric.limit": of_monitor}
    for key, limit in limits.items():
        if limit is not None and not _is_reachable(metric, limit, task):
            raise BadConfiguration(
                f"{key} is {limit:g}",
                where=str(path),
                hint=f"with problem.metric: {metric.name}, where {metric.better} is better, {key} must be"
                f" {_allowed(metric, task)}",
            )
    for key in ("over_serving", "over_slice"):
        if getattr(policy, key) > widest:
            raise BadConfiguration(
                f"gate.{key} is {getattr(policy, key):g}",
                where=str(path),
                hint=f"with problem.metric: {metric.name}, gate.{key} must be at most {widest:g}",
            )


def _is_reachable(metric: Metric, limit: float, task: Task) -> bool:
    widest, error = metric.widest_for(task), metric.error(limit)
    return 0 < error <= widest and (task == "regression" or error != widest)


def _allowed(metric: Metric, task: Task) -> str:
    """The limits that a metric may have, in words."""
    widest = metric.widest_for(task)
    ends = f"between {metric.perfect:g} (perfect) and {metric.with_error(widest):g}"
    if task != "regression":
        ends += " (reached without any skill)"
    return ends if isfinite(widest) else "above 0"


def _as_configuration_error(path: Path, error: ValidationError, raw: dict[str, Any]) -> BadConfiguration:
    first = min(error.errors(), key=_rank)
    location = _in_file(raw, first["loc"])
    key, found = ".".join(str(part) for part in location), first["input"]
    if renamed := _renamed(location, found) if first["type"] == UNKNOWN else None:
        return BadConfiguration(f"{renamed[0]} has a new name", where=str(path), hint=f"rename it to {renamed[1]}")
    if first["type"] == UNKNOWN:
        return BadConfiguration(f"unknown key {key}", where=str(path), hint=nearest_key(first["loc"]))
    if first["type"] == "missing":
        return BadConfiguration(f"missing key {key}", where=str(path), hint=f"add {key} to {path.name}")
    if location == ("problem",) and not isinstance(found, dict):
        hint = f"problem: describe the table with keys of {PROBLEM_PAGE}; its name is problem.name"
        return BadConfiguration(f"problem is {_shown(found)}", where=str(path), hint=hint)
    reason = first["ctx"]["error"] if first["type"] == "value_error" else first["msg"].lower()
    if isinstance(found, dict):
        page = PROBLEM_PAGE if location[0] == "problem" else PARAMS_PAGE
        return BadConfiguration(f"{key}: {reason}", where=str(path), hint=f"correct {key}; see {page}")
    return BadConfiguration(f"{key} is {_shown(found)}", where=str(path), hint=f"{key}: {reason}")


def _rank(error: Any) -> int:
    """The order of errors to show: a new name, an unknown key, others; last a text in place of a mapping's error."""
    if error["type"] == UNKNOWN:
        return 0 if _renamed(error["loc"], error["input"]) else 1
    return 3 if error["type"] == "string_type" and isinstance(error["input"], dict) else 2


def _renamed(location: tuple[Any, ...], found: Any) -> tuple[str, str] | None:
    """The old and the new name of a key; None for a key that never was."""
    *sections, last = map(str, location)
    key = ".".join((*sections, last))
    if last in RENAMED:
        return key, ".".join((*sections, RENAMED[last]))
    inside = [f"{key}.{name}" for name in found] if isinstance(found, dict) else []
    return next(((old, MOVED[old]) for old in (key, *inside) if old in MOVED), None)


def _in_file(raw: Any, location: tuple[Any, ...]) -> tuple[Any, ...]:
    """The parts of a location that are keys or places in the file; the others name alternatives of a type.

    All parts for a value that is not in the file: a learning rate of the fast profile.
    """
    if location[0] not in raw:
        return location
    parts: list[Any] = []
    for part in location:
        if isinstance(raw, dict) and (part in raw or part == location[-1]):
            raw = raw.get(part)
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            raw = raw[part]
        else:
            continue
        parts.append(part)
    return tuple(parts)


def _shown(value: Any) -> str:
    """A value for a message, cut where it is long; Python does not write out numbers with thousands of digits."""
    try:
        text = repr(value)
    except ValueError:
        return "a number with thousands of digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def nearest_key(location: tuple[Any, ...]) -> str:
    """A hint for an unknown key of params.yaml: the nearest one, or all of its section."""
    section: Any = Params
    for part in location[:-1]:
        section = part_of(section, part)
    known = list(_section(section).model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"


def part_of(annotation: Any, part: str | int) -> Any:
    """The type of a key of a section, of an entry of a list or mapping, or of the alternative with this name."""
    for inside in alternatives(annotation):
        if isinstance(inside, type) and issubclass(inside, BaseModel):
            return inside if part == inside.__name__ else inside.model_fields[str(part)].annotation
        if get_origin(inside) in (tuple, list, dict):
            return get_args(inside)[-1 if get_origin(inside) is dict else 0]
    return annotation


def _section(annotation: Any) -> type[BaseModel]:
    return next(each for each in alternatives(annotation) if isinstance(each, type) and issubclass(each, BaseModel))


def alternatives(annotation: Any) -> Iterator[Any]:
    """The types of which a value has one: those of a union, without the constraints of each."""
    if get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from alternatives(each)
    elif get_origin(annotation) is Annotated:
        yield from alternatives(get_args(annotation)[0])
    else:
        yield annotation
