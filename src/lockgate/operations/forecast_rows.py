"""The future rows of a panel, made from what is known in advance: keys, periods, side tables, a file of the user."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.data import ingest, readers, row_rules, side_tables, text_file
from lockgate.data.cells import cells, form_of, request_type
from lockgate.data.column_types import CellFault, TextForm, column_type
from lockgate.data.readers import RawTable
from lockgate.data.side_tables import SideTable
from lockgate.errors import BadData, WrongUsage
from lockgate.features.series import Series
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.external import ExternalForecaster
from lockgate.forecaster.external_panel import PanelRows
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.window import Window
from lockgate.problem.columns import Column, Date, Role
from lockgate.problem.description import Problem

ROWS = 65_536  # made at a time, so that memory stays bounded
PERIOD = "number of the period"  # a column of the join, beside those of the problem


@dataclass(frozen=True)
class Future:
    """The keys (values by column; none: all keys), the number of periods and the first one, and the user's file.

    Without a number, it is the horizon; without a first period, it is the one after the training.
    """

    keys: Mapping[str, tuple[str, ...]]
    periods: int | None = None
    first: str | None = None
    known: Path | None = None


@dataclass(frozen=True)
class FutureRows:
    """The rows to come: keys x periods in this order, what is known of them, and remarks for the user."""

    problem: Problem
    series: Series
    numbers: NDArray[np.int64]
    known: "_KnownFile | None"
    sides: tuple[SideTable, ...]
    remarks: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.series) * len(self.numbers)

    def parts(self) -> Iterator[pd.DataFrame]:
        """The rows in parts of whole keys: keys, time, and known covariates. Raises BadData for an unknown one."""
        step = max(1, ROWS // len(self.numbers))
        for start in range(0, len(self.series), step):
            yield self._rows(self.series.take(np.arange(start, min(start + step, len(self.series)))))

    def _rows(self, series: Series) -> pd.DataFrame:
        problem, count = self.problem, len(self.numbers)
        rows = series.frame[list(problem.keys)].loc[series.frame.index.repeat(count)].reset_index(drop=True)
        numbers = np.tile(self.numbers, len(series))
        rows = rows.assign(**{problem.time_name: problem.period.start(numbers)})
        if self.known:
            rows = self.known.joined(problem, rows, numbers)
        rows = side_tables.joined(rows, self.sides, lambda row: _row_name(problem, rows, row))
        return rows.assign(**{problem.time_name: _time_texts(problem, numbers, rows[problem.time_name])})


def future_rows(problem: Problem, forecaster: ForecasterProtocol, future: Future, raw: Path = ingest.RAW) -> FutureRows:
    """The rows that a forecaster of a panel can forecast. Side tables are in the folder `raw`.

    Raises WrongUsage for keys and periods that it does not forecast, BadData for a file that cannot be read, and for a
    known covariate that neither the file nor a side table has, unless a missing value has a meaning.
    """
    series, window = _series(forecaster)
    known = _KnownFile.read(problem, future.known) if future.known else None
    given = {*problem.keys, problem.time_name, *(known.covariates if known else ())}
    sides = tuple(ingest.side_tables_of(problem, given, raw))
    remarks = remarks_on_missing(problem, given | {name for side in sides for name in side.covariates})
    return FutureRows(
        problem, _chosen(problem, series, future.keys), _numbers(problem, window, future), known, sides,
        tuple(remarks),
    )  # fmt: skip


def _series(forecaster: ForecasterProtocol) -> tuple[Series, Window]:
    if isinstance(forecaster, Forecaster):
        return forecaster.request.series, forecaster.request.window
    if isinstance(forecaster, ExternalForecaster) and isinstance(forecaster.rows, PanelRows):
        return forecaster.rows.request.series, forecaster.rows.request.window
    raise WrongUsage("this version is no forecaster of a panel", hint="use: lockgate predict --input FILE")


def _chosen(problem: Problem, series: Series, keys: Mapping[str, tuple[str, ...]]) -> Series:
    """The series whose key columns have one of the given values."""
    kept = np.ones(len(series), dtype=np.bool_)
    for name, texts in keys.items():
        if name not in problem.keys:
            hint = f"the keys are {', '.join(problem.keys)}" if problem.keys else f"{problem.name} has no keys"
            raise WrongUsage(f"{name} is no key", hint=hint)
        values = [_value(problem.column(name), text) for text in texts]
        known_values = list(dict.fromkeys(series.frame[name].tolist()))
        known = set(known_values)
        if unknown := [text for text, value in zip(texts, values, strict=True) if value not in known]:
            first = ", ".join(map(str, known_values[:5]))
            hint = f"known values: {first}{', ...' if len(known_values) > 5 else ''}; a new one needs a training"
            raise BadData(f"{name} is {unknown[0]}, which was not in the training", where=f"--key {name}", hint=hint)
        kept &= series.frame[name].isin(values).to_numpy(dtype=np.bool_)
    if not kept.any():
        raise BadData("no series has these keys together", where="--key", hint="leave one of them out")
    return series.take(np.flatnonzero(kept))


def _value(column: Column, text: str) -> Any:
    try:
        value = column_type(column).value(text)
    except CellFault as fault:
        raise BadData(
            f"{column.name} is {text!r}: {fault.why}", where=f"--key {column.name}", hint=fault.hint
        ) from fault
    return pd.Timestamp(value) if isinstance(value, np.datetime64) else value


def _numbers(problem: Problem, window: Window, future: Future) -> NDArray[np.int64]:
    """The numbers of the periods. Raises WrongUsage for periods that the version does not forecast."""
    first = window.cutoff + 1 if future.first is None else _number(problem, future.first)
    count = window.horizon if future.periods is None else future.periods
    if not window.cutoff < first or first + count - 1 > window.last:
        asked = f"{problem.period.text(first)} to {problem.period.text(first + count - 1)}"
        raise WrongUsage(
            f"the version does not forecast {asked}",
            hint=f"it forecasts {window.allowed(problem.period)}: change --from or --periods, or train on newer data",
        )
    return np.arange(first, first + count, dtype=np.int64)


def _number(problem: Problem, text: str) -> int:
    column = problem.column(problem.time_name)
    try:
        value = request_type(problem, column, TextForm()).value(text)
    except CellFault as fault:
        raise WrongUsage(f"--from is {text!r}: {fault.why}", hint=fault.hint) from fault
    return int(problem.period.number(np.array([value]))[0])


def remarks_on_missing(problem: Problem, given: set[str]) -> Iterator[str]:
    """A remark for each covariate that is not given and may be missing. Raises BadData for one that may not."""
    lacking = [column for column in problem.of_role(Role.KNOWN_COVARIATES) if column.name not in given]
    if needed := [column.name for column in lacking if not column.missing]:
        keys = ", ".join([*problem.keys, problem.time_name])
        raise BadData(
            f"no value is given for {', '.join(needed)}, which must be known in advance",
            where="known_covariates",
            hint=f"give a file with the columns {keys} (or some of them) and {', '.join(needed)}: --known FILE",
        )
    yield from (f"{column.name} is not given: {column.missing}" for column in lacking)


@dataclass(frozen=True)
class _KnownFile:
    """The user's file of known covariates: one row for each value of its key columns and its period."""

    path: Path
    rows: pd.DataFrame
    on: list[str]  # key columns, and PERIOD if it has the time
    covariates: list[str]
    is_optional: bool

    @classmethod
    def read(cls, problem: Problem, path: Path) -> "_KnownFile":
        """Read and check a file. Raises BadData if it has no known covariate, or nothing to join it by."""
        raw = _raw(problem, path)
        keys = [name for name in problem.keys if name in raw.names]
        times = [problem.time_name] if problem.time_name in raw.names else []
        covariates = [column for column in problem.of_role(Role.KNOWN_COVARIATES) if column.name in raw.names]
        if not covariates or not (keys or times):
            wanted = ", ".join(column.name for column in problem.of_role(Role.KNOWN_COVARIATES))
            raise BadData(
                "the file has no known covariate" if not covariates else "the file has no key and no time",
                where=f"{path}, header",
                hint=f"give {', '.join([*problem.keys, problem.time_name])} (or some of them) and of {wanted}",
            )
        form = TextForm() if raw.unit == "row" else form_of(problem.main_source)
        columns = [problem.column(name) for name in (*keys, *times)] + covariates
        rows = cells(raw, {column.name: request_type(problem, column, form) for column in columns})
        if times:
            rows = rows.assign(**{PERIOD: problem.period.number(rows[problem.time_name].to_numpy())})
        row_rules.refuse_in_side_table(problem, [*keys, *times], rows, raw.place)
        names = [column.name for column in covariates]
        on = [*keys, *([PERIOD] if times else [])]
        return cls(path, rows[[*on, *names]], on, names, all(column.missing for column in covariates))

    def joined(self, problem: Problem, rows: pd.DataFrame, numbers: NDArray[np.int64]) -> pd.DataFrame:
        """The rows with their covariates. Raises BadData for a row that the file lacks, unless all may be missing."""
        found = rows.assign(**{PERIOD: numbers}).merge(self.rows, on=self.on, how="left", indicator="in both")
        lacking = np.flatnonzero(found["in both"] != "both")
        if len(lacking) and not self.is_optional:
            more = f" (and for {len(lacking) - 1} more rows)" if len(lacking) > 1 else ""
            raise BadData(
                f"the file has no row for {_row_name(problem, rows, int(lacking[0]))}{more}",
                where=str(self.path),
                hint="add the rows, or forecast fewer periods or keys",
            )
        return found.drop(columns=[PERIOD, "in both"])


def _raw(problem: Problem, path: Path) -> RawTable:
    if text_file.magic(path) == text_file.PARQUET:
        return ingest.described(problem, readers.read_parquet(path))
    main = problem.main_source
    named = {main.rename.get(name, name) for name in readers.first_cells(path)}
    wanted = {column.name for column in problem.request}
    form = readers.COMMAS.model_copy(update={"missing": main.missing}) if len(named & wanted) > 1 else main
    return ingest.described(problem, readers.read_csv(path, form))


def _row_name(problem: Problem, rows: pd.DataFrame, row: int) -> str:
    return row_rules.key_text([*problem.keys, problem.time_name], rows, row)


def _time_texts(problem: Problem, numbers: NDArray[np.int64], times: "pd.Series[Any]") -> Any:
    """The times as a file of rows has them: in the described form, or as ISO writes them; numbers stay numbers."""
    if problem.period.is_integer:
        return numbers
    kind = problem.column(problem.time_name).kind
    if isinstance(kind, Date) and kind.form:
        return times.dt.strftime(kind.form)
    texts = {number: problem.period.text(number) for number in np.unique(numbers).tolist()}
    return pd.array([texts[number] for number in numbers.tolist()], dtype="str")


def by_column(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """The values of each key column: `shop=1` and `shop=2` are two values of one column."""
    found: dict[str, list[str]] = {}
    for name, text in pairs:
        found.setdefault(name, []).append(text)
    return {name: tuple(texts) for name, texts in found.items()}
