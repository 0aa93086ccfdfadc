"""The description of a problem: its tables, target, task, time, split, metric, features and members. Frozen data.

params.yaml holds it under `problem`. What reads, refuses, learns, scores or shows a column takes the column from here.
"""

import datetime
import difflib
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lockgate.problem.columns import Category, Column, ColumnKind, Date, Decimal, Flag, Months, Role, Whole
from lockgate.problem.metrics import METRICS
from lockgate.problem.periods import TIME_PARTS, Period, PeriodName

Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = tuple[Name, ...]
Task = Literal["regression", "binary", "multiclass"]
Kind = Literal["panel", "state", "table"]
Scalar = str | int | float
Duplicates = Literal["refuse", "drop", "first", "mean", "sum"]
JOINED: tuple[Duplicates, ...] = ("first", "mean", "sum")  # of the rows with one key and time

EARLIEST, LATEST = datetime.date(1800, 1, 1), datetime.date(2200, 12, 31)
FIRST_TIME, LAST_TIME = datetime.date(1990, 1, 1), datetime.date(2100, 12, 31)  # an earlier date is a typing error
LARGEST = 2**62
EXACT = 2**53  # the largest whole number that a request holds exactly: JSON's numbers are floats
MAIN_TABLE = ""
IN_SIDE_TABLES = (Role.STATIC_FEATURES, Role.KNOWN_COVARIATES, Role.PAST_COVARIATES)
PANEL_SLICES = ("week", "size")  # of a panel: the week of the horizon, and the size of a key's past targets


def _as_tuple(value: Any) -> Any:
    """YAML's lists as tuples; a single text as a tuple of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _metric_name(name: str) -> str:
    if name not in METRICS:
        near = difflib.get_close_matches(name, METRICS, n=1, cutoff=0.6)
        raise ValueError(f"did you mean {near[0]}?" if near else f"known metrics: {', '.join(METRICS)}")
    return name


Texts = Annotated[Names, BeforeValidator(_as_tuple)]
MetricName = Annotated[str, AfterValidator(_metric_name), Field(json_schema_extra={"enum": list(METRICS)})]


class Described(BaseModel):
    """A part of the description: no unknown keys, no silent coercion, never changed after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SourceFile(Described):
    """A file in data/raw; one with a `key` is a side table with one row for each value of these columns."""

    file: Name
    """Name of a file in data/raw; a csv file may have .gz added to its name. A folder with this name, or with the name
    without its suffix, holds parts of the file, as Spark and Dask write them.
    """
    key: Texts = ()
    """The columns of which each row of a side table has other values."""
    rename: dict[str, Name] = {}
    """Columns that have another name in the file, such as `{calendar_date: visit_date}`: the name in the file, the name
    in this description.
    """
    format: Literal["csv", "parquet"] = "csv"
    """Format of the file."""
    delimiter: str = ","
    """One character between the cells, or `spaces` for any number of spaces."""
    encoding: str = "utf-8"
    """Encoding of the text."""
    decimal: Literal[".", ","] = "."
    """Decimal mark of the numbers."""
    thousands: Literal[",", ".", "'", " ", ""] = ""
    """Mark between groups of three digits, as in 150,000."""
    names: Texts = ()
    """Names of the columns, for a file without a header."""
    missing: Texts = ()
    """Texts that mean a missing value, beside the empty one."""
    duplicates: Duplicates = "refuse"
    """`drop` leaves out a row that is equal to an earlier one in every column. Rows with the key and time of another
    row are refused, or become one row: with the `first`, or the `mean` or `sum` of target and past covariates (and the
    first of other columns). In local time, one hour of the year stands twice. A plain table keeps equal rows with
    `refuse`.
    """


class TimeColumn(Described):
    """The column of the time of a row, and the length of a period; `of` are columns that it is put together from."""

    column: Name
    """The column with the time of a row."""
    period: PeriodName = "day"
    """Length of a period; `integer` is a running number."""
    of: Texts = ()
    """Columns that the time is put together from, when a file has no such column: a date and an hour, or year, month,
    day and hour (`hour`); year, month and day (`day`); year and week (`week`); year and month (`month`).
    """


class ColumnDescription(Described):
    """The type and the range of a column; what is not given is decided by the role and by the data."""

    type: Literal["integer", "number", "flag", "category", "date", "months"]
    """`flag` is 0 or 1; `months` are names of months, separated by commas."""
    range: Annotated[tuple[float | datetime.date, float | datetime.date] | None, BeforeValidator(_as_tuple)] = None
    """The lowest and the highest value of an `integer`, `number` or `date`."""
    categories: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = ()
    """Allowed texts of a `category`; without them, every text is allowed."""
    unit: Texts = ()
    """Units that may stand before or after a `number`, such as `kmpl` in "23.4 kmpl" and `$` in "$5,000"."""
    form: str = ""
    """Form of a `date`, such as `%d.%m.%Y`. Default: YYYY-MM-DD."""
    meaning: str = ""
    """The column in a few words."""
    missing: str = ""
    """The meaning of a missing value. Without it, a missing value is refused."""
    full_history: bool = False
    """True: a missing value is refused in the history, and has its meaning in requests only."""
    drop_rows: bool = False
    """True: rows of the history whose value is missing, without a meaning, or out of `range` are left out and counted,
    not refused.
    """
    file: str = MAIN_TABLE
    """The side table that holds the column. A static feature has one value for each key; a covariate is joined to the
    rows by the `key` of its file, which may include the time. Default: the table of rows.
    """

    @property
    def kind(self) -> ColumnKind:
        """The kind of the column's values."""
        low, high = self.range or (None, None)
        match self.type:
            case "integer":
                return Whole(-LARGEST if low is None else int(low), LARGEST if high is None else int(high))  # type: ignore[arg-type]
            case "number":
                bounds = (float("-inf") if low is None else float(low), float("inf") if high is None else float(high))  # type: ignore[arg-type]
                return Decimal(*bounds, self.unit)
            case "flag":
                return Flag()
            case "category":
                return Category(self.categories)
            case "months":
                return Months()
            case "date":
                first, last = (EARLIEST, LATEST) if low is None else (low, high)
                return Date(first, last, self.form)  # type: ignore[arg-type]

    @model_validator(mode="after")
    def _fits_type(self) -> "ColumnDescription":
        wanted: dict[str, tuple[str, ...]] = {
            "range": ("integer", "number", "date"),
            "categories": ("category",),
            "unit": ("number",),
            "form": ("date",),
        }
        for key, types in wanted.items():
            if getattr(self, key) and self.type not in types:
                raise ValueError(f"{key} is for columns of type {' or '.join(types)}")
        if self.range and any(isinstance(end, datetime.date) != (self.type == "date") for end in self.range):
            raise ValueError("range takes two dates for type: date, and two numbers for other types")
        if self.drop_rows and self.file:
            raise ValueError("drop_rows is for columns of the table of rows")
        if self.range and not self.range[0] <= self.range[1]:  # type: ignore[operator]
            raise ValueError("range is [lowest, highest]")
        return self


class Where(Described):
    """The rows that are learned and scored: those with this value; `otherwise` is the forecast of the others."""

    column: Name
    """One of `known_covariates`."""
    equals: Scalar
    """Rows with this value are learned and scored."""
    otherwise: float
    """The forecast of the other rows."""


class RowRule(Described):
    """A rule between columns of a row: if a column has a value, another has a value, or is not missing."""

    when: dict[str, Scalar]
    """Columns and values: the rule is for rows with these values."""
    then: dict[str, Scalar] = {}
    """Columns and values that such a row must have."""
    filled: Texts = ()
    """Columns that must not be missing in such a row."""


class Derived(Described):
    """A target that is computed: the periods to the last row of its key, at most `cap`."""

    of: Literal["periods_left"]
    """The target is the number of periods to the last row of the key."""
    cap: Annotated[int | None, Field(ge=1)] = None
    """The highest value of the target."""


class Split(Described):
    """The rows that are held out: the last periods, whole groups, or a share of the rows."""

    by: Literal["time", "group", "random", "stratified"]
    """`time`: the last periods; `group`: whole keys, each by its own hash, so none changes sides when the data grow;
    `random`: rows; `stratified`: rows of each class.
    """
    last: Annotated[int | None, Field(ge=1)] = None
    """Number of periods, for `by: time`."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the groups (about, because each is chosen by its hash) or of the rows."""
    column: str = ""
    """Column of the groups, for `by: group`. Default: the keys."""


class Bins(Described):
    """A slice by the quantiles of a numeric column."""

    column: Name
    """A column with numbers."""
    bins: Annotated[int, Field(ge=2, le=20)]
    """Number of bins with about equally many rows."""


class Problem(Described):
    """A table, its target and its metric."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
    """The registered model is `<name>-ensemble`."""
    title: str = ""
    """The problem in a few words, for pages and plots."""
    task: Task = "regression"
    """What the target is: a number, one of two classes, or one of more classes."""
    sources: Annotated[tuple[SourceFile, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    """The files in data/raw. Exactly one has no `key`: the table of rows."""
    target: Name
    """The column to forecast."""
    positive: str = ""
    """For `task: binary`: the class whose probability is forecast."""
    derived: Derived | None = None
    """The target is computed from the rows and is not a column of the file."""
    keys: Texts = ()
    """Columns that name the series of a row, such as a store."""
    time: TimeColumn | None = None
    """The column with the time of a row, and the length of a period."""
    horizon: Annotated[int | None, Field(ge=0, le=10_000)] = None
    """Number of periods to forecast; 0: the state now; none: no time."""
    known_covariates: Texts = ()
    """Columns that are known before the period, so a request has them. In a plain table: all columns to learn from."""
    past_covariates: Texts = ()
    """Columns that are known after the period only. A panel checks and drops them; a state learns from them."""
    static_features: Texts = ()
    """Columns of a side table, with one value for each key."""
    checks: dict[str, Literal["weekday"]] = {}
    """Columns that repeat the weekday of the time (Monday is 1) and must agree with it; then they are dropped."""
    row_id: str = ""
    """A column that numbers the rows of a file to forecast; `lockgate predict` passes it on."""
    drop: Texts = ()
    """Columns of the file that are not read."""
    columns: dict[str, ColumnDescription]
    """The type of each column that has a role."""
    where: Where | None = None
    """The rows that are learned and scored; without it, all rows."""
    rules: Annotated[tuple[RowRule, ...], BeforeValidator(_as_tuple)] = ()
    """Rules that each row must keep."""
    split: Split | None = None
    """How the holdout is split off. Default: the last `horizon` periods of a panel, a fifth of the keys of a state, a
    fifth of the rows of a table (of each class, if the task is a classification).
    """
    metric: MetricName
    """The metric of the gate, the training, the comparison and `lockgate backtest`."""
    prefer: Annotated[tuple[MetricName, ...], BeforeValidator(_as_tuple)] = ()
    """Metrics in the order in which they choose among the blend and its single members, on the inner folds. Default:
    the metric; of a panel the blend.
    """
    baseline: Literal["seasonal_naive", "naive", "group_median", "mean", "prior", ""] = ""
    """The simple forecast that a version must beat. Default: by the kind of problem."""
    slices: Annotated[tuple[str | Bins, ...], BeforeValidator(_as_tuple)] = ()
    """Parts of the holdout that the gate also judges: a column (a number with more than 20 values: its quarters),
    `week` or `size` of a panel, or the bins of a number.
    """
    features: Annotated[tuple[str | dict[str, Any], ...], BeforeValidator(_as_tuple)] = ()
    """Recipe of the features, or the features themselves: [features.md](features.md). Default: by the kind of problem.
    """
    members: Texts = ()
    """Members of the ensemble. Default: by the kind of problem."""

    @property
    def kind(self) -> Kind:
        """The kind of forecaster: panel with horizon, panel state (horizon 0), or plain table."""
        if self.time is None or self.horizon is None:
            return "table"
        return "panel" if self.horizon else "state"

    @property
    def period(self) -> Period:
        """The period of the time. Raises ValueError without time."""
        if self.time is None:
            raise ValueError(f"{self.name} has no time")
        return Period(self.time.period)

    @property
    def main_source(self) -> SourceFile:
        """The file of rows."""
        return next(source for source in self.sources if not source.key)

    @property
    def time_name(self) -> str:
        """The name of the time's column; "" without time."""
        return self.time.column if self.time else ""

    @property
    def holdout(self) -> Split:
        """How the holdout is split off; by default the last horizon, a fifth of the keys, or a fifth of the rows."""
        if self.split:
            return self.split
        if self.kind == "panel":
            return Split(by="time", last=self.horizon)
        if self.kind == "state":
            return Split(by="group")
        return Split(by="random" if self.task == "regression" else "stratified")

    @property
    def baseline_name(self) -> str:
        """The name of the simple forecast that a version must beat; by default the usual one of its kind and task."""
        if self.baseline:
            return self.baseline
        if self.task != "regression":
            return "prior"
        if self.kind == "panel":
            return "seasonal_naive" if self.period.seasons else "naive"
        return "mean"

    @cached_property
    def table(self) -> tuple[Column, ...]:
        """The table of columns, in the order of `roles`: it is the same however `columns` are sorted."""
        return tuple(self._column(name, role) for name, role in self.roles.items() if name in self.columns)

    def _column(self, name: str, role: Role) -> Column:
        given = self.columns[name]
        kind = _kind_in_role(given, role)
        return Column(name, role, kind, given.meaning, given.missing, given.full_history, given.file, given.drop_rows)

    def of_role(self, *roles: Role) -> tuple[Column, ...]:
        """The columns with one of these roles, in the order of the table."""
        return tuple(column for column in self.table if column.role in roles)

    def column(self, name: str) -> Column:
        """A column by name. Raises KeyError without it."""
        for column in self.table:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def request(self) -> tuple[Column, ...]:
        """The columns of a forecast request; those of a state have the covariates of the past, too."""
        return self.of_role(Role.KEYS, Role.TIME, Role.KNOWN_COVARIATES, *self._past_roles)

    @property
    def required(self) -> tuple[Column, ...]:
        """The columns that a forecast request must have: keys, time, and covariates as they are listed."""
        return tuple(column for column in self.request if not column.missing)

    @property
    def history(self) -> tuple[Column, ...]:
        """The columns of the file of rows, with the target unless it is derived."""
        return tuple(
            column
            for column in self.table
            if not column.side_table
            and column.role is not Role.ROW_ID
            and not (self.derived and column.role is Role.TARGET)
        )

    @property
    def rows(self) -> tuple[Column, ...]:
        """The columns of the prepared rows and holdout: what may be learned, and the target."""
        return self.of_role(Role.KEYS, Role.TIME, Role.TARGET, Role.KNOWN_COVARIATES, *self._past_roles)

    @property
    def _past_roles(self) -> tuple[Role, ...]:
        return (Role.PAST_COVARIATES,) if self.kind == "state" else ()

    @cached_property
    def roles(self) -> dict[str, Role]:
        """The role of each column that has one, by name."""
        named = {
            Role.KEYS: self.keys,
            Role.TIME: (self.time_name,) if self.time else (),
            Role.TARGET: (self.target,),
            Role.KNOWN_COVARIATES: self.known_covariates,
            Role.PAST_COVARIATES: self.past_covariates,
            Role.STATIC_FEATURES: self.static_features,
            Role.CHECK: tuple(self.checks),
            Role.ROW_ID: (self.row_id,) if self.row_id else (),
        }
        return {name: role for role, names in named.items() for name in names}

    @model_validator(mode="after")
    def _is_consistent(self) -> "Problem":
        if found := contradictions(self):
            raise ValueError(found[0])
        return self


def _kind_in_role(given: ColumnDescription, role: Role) -> ColumnKind:
    """The kind of a column; a time and a whole number that is a key have a range of their own by default."""
    kind = given.kind
    if given.range is None and role is Role.TIME and isinstance(kind, Date):
        return Date(FIRST_TIME, LAST_TIME, kind.form)
    if given.range is None and role is Role.KEYS and isinstance(kind, Whole):
        return Whole(-EXACT, EXACT)
    return kind


def contradictions(problem: Problem) -> list[str]:
    """The contradictions in a description, as sentences; empty for a consistent one."""
    return [sentence for rule in CONSISTENCY for sentence in rule(problem)]


def _one_role_each(problem: Problem) -> Iterator[str]:
    used = [*problem.keys, problem.time_name, problem.target, *problem.known_covariates, *problem.past_covariates]
    used += [*problem.static_features, *problem.checks, problem.row_id, *problem.drop]
    yield from (f"column {name} has two roles" for name in sorted(set(used)) if name and used.count(name) > 1)


def _described_and_used(problem: Problem) -> Iterator[str]:
    described, used = problem.columns, problem.roles
    yield from (f"{role} {name} is missing under columns" for name, role in used.items() if name not in described)
    yield from (f"column {name} has no role; give it one, or move it to drop" for name in described if name not in used)


def _keys_and_time_are_given(problem: Problem) -> Iterator[str]:
    for name in (*problem.keys, problem.time_name):
        if name in problem.columns and problem.columns[name].missing:
            yield f"column {name} is a key or the time, so a missing value can have no meaning"


def _keys_are_exact(problem: Problem) -> Iterator[str]:
    for name in problem.keys:
        given = problem.columns.get(name)
        kind = given.kind if given and given.range else None
        if isinstance(kind, Whole) and max(-kind.low, kind.high) > EXACT:
            yield f"key {name} has numbers above {EXACT}, which a request cannot hold exactly; use type: category"


def _side_tables(problem: Problem) -> Iterator[str]:
    files = [source.file for source in problem.sources]
    if len(set(files)) < len(files):
        yield "sources has a file twice"
    if sum(not source.key for source in problem.sources) != 1:
        yield "sources needs exactly one file without a key: the table of rows"
    side = {source.file for source in problem.sources if source.key}
    for name, given in problem.columns.items():
        if given.file and given.file not in side:
            yield f"column {name} is in {given.file}, which is no side table of sources"
        elif given.file and problem.roles.get(name) not in IN_SIDE_TABLES:
            yield f"column {name} is in {given.file}: a side table holds static features and covariates only"
    for source in problem.sources:
        if strange := [name for name in source.key if not _in_rows(problem, name)]:
            yield f"{source.file} is joined by {strange[0]}, which is no column of the table of rows"
        if set(source.key) - set(problem.keys) and _static_of(problem, source):
            name = _static_of(problem, source)[0]
            yield f"static feature {name} is in {source.file}, whose key is not a part of keys: make it a covariate"


def _in_rows(problem: Problem, name: str) -> bool:
    return name not in problem.columns or not problem.columns[name].file


def _static_of(problem: Problem, source: SourceFile) -> list[str]:
    """The static features that a side table holds."""
    return [
        name
        for name in problem.static_features
        if name in problem.columns and problem.columns[name].file == source.file
    ]


def _duplicates(problem: Problem) -> Iterator[str]:
    for source in problem.sources:
        if source.duplicates in JOINED and (source.key or problem.time is None):
            yield f"duplicates: {source.duplicates} is for the rows of a problem with a time; use drop"


def _time_and_horizon(problem: Problem) -> Iterator[str]:
    if problem.horizon is not None and problem.time is None:
        yield "horizon needs time"
    if problem.time is not None and problem.horizon is None:
        yield "time needs horizon: the number of periods to forecast, or 0 for the state now"
    if problem.kind == "state" and not problem.keys:
        yield "horizon: 0 needs keys, because the rows of a key so far give its answer"
    if problem.holdout.by == "time" and problem.kind != "panel":
        yield "split by: time needs a horizon above 0"
    if problem.time and problem.time_name in problem.columns:
        yield from _time_type(problem)
    if problem.time and problem.time.of:
        yield from _time_parts(problem.time)


def _time_type(problem: Problem) -> Iterator[str]:
    wanted = "integer" if problem.period.is_integer else "date"
    if problem.columns[problem.time_name].type != wanted:
        yield f"time.period: {problem.period.name} needs a column of type {wanted}"


def _time_parts(time: TimeColumn) -> Iterator[str]:
    ways = TIME_PARTS[time.period]
    if time.column in time.of:
        yield f"time.column: {time.column} is one of time.of; give the time a name of its own"
    if len(time.of) not in ways:
        known = " or ".join(" and ".join(kinds) for kinds in ways.values())
        yield f"time.of has {len(time.of)} columns; period: {time.period} can be put together from {known or 'none'}"


def _task_and_target(problem: Problem) -> Iterator[str]:
    if problem.kind == "panel" and problem.task != "regression":
        yield "a horizon above 0 needs task: regression"
    if problem.task == "binary" and not problem.positive:
        yield "task: binary needs positive, the class whose probability is forecast"
    if problem.task != "binary" and problem.positive:
        yield f"task: {problem.task} has no positive"
    if problem.derived and not (problem.time and problem.keys):
        yield "derived needs keys and time"
    classes = problem.columns[problem.target].categories if problem.target in problem.columns else ()
    if problem.positive and classes and problem.positive not in classes:
        yield f"positive is {problem.positive}, and the categories of {problem.target} are {', '.join(classes)}"


def _metrics(problem: Problem) -> Iterator[str]:
    """Each metric must fit the task; a scaled error needs the past of each key."""
    for name in (problem.metric, *problem.prefer):
        if problem.task not in METRICS[name].tasks:
            fitting = ", ".join(each for each, metric in METRICS.items() if problem.task in metric.tasks)
            yield f"metric {name} does not fit task: {problem.task}; metrics that fit: {fitting}"
        elif METRICS[name].needs_scale and problem.kind != "panel":
            yield f"metric {name} needs a horizon above 0, because its scale is the error of a naive forecast"


def _where(problem: Problem) -> Iterator[str]:
    if problem.where and problem.where.column not in problem.known_covariates:
        yield "where.column must be one of known_covariates"


def _split(problem: Problem) -> Iterator[str]:
    split = problem.holdout
    if split.last is not None and split.by != "time":
        yield "split.last is for split by: time"
    if split.by == "stratified" and problem.task == "regression":
        yield "split by: stratified needs classes: task: binary or multiclass"
    if split.by == "group" and not (split.column or problem.keys):
        yield "split by: group needs split.column, or keys"


def _named_columns(problem: Problem) -> Iterator[str]:
    """Columns that other keys name must be described."""
    ways = PANEL_SLICES if problem.kind == "panel" else ()
    slices = [each.column if isinstance(each, Bins) else each for each in problem.slices]
    named = {
        "slices": [name for name in slices if name not in ways],
        "rules": [name for rule in problem.rules for name in (*rule.when, *rule.then, *rule.filled)],
        "split.column": [problem.split.column] if problem.split and problem.split.column else [],
        "sources": [name for source in problem.sources for name in source.key],
    }
    for key, names in named.items():
        yield from (f"{key} names {name}, which is not under columns" for name in names if name not in problem.columns)
    bins = [each.column for each in problem.slices if isinstance(each, Bins) and each.column in problem.columns]
    for name in bins:
        if problem.columns[name].type not in ("integer", "number"):
            yield f"slices: bins of {name} need a column of type integer or number"


def _static_features(problem: Problem) -> Iterator[str]:
    if problem.static_features and problem.kind != "panel":
        yield "static_features need a horizon above 0; without one, make these columns known_covariates"


CONSISTENCY = (
    _time_and_horizon,
    _one_role_each,
    _described_and_used,
    _keys_and_time_are_given,
    _keys_are_exact,
    _side_tables,
    _duplicates,
    _task_and_target,
    _metrics,
    _where,
    _split,
    _named_columns,
    _static_features,
)
