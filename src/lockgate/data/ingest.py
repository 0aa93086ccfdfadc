"""Reads Kaggle's train.csv, store.csv and test.csv by an explicit schema.

The tables do not depend on the order of rows and columns in the files: `rows` (one for each store and day),
`stores` (one for each store), and rows without sales to forecast.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lockgate import digests
from lockgate.data import readers, row_rules, text_file
from lockgate.data.column_types import ColumnType, column_type, full_type, iso_date, typed
from lockgate.data.readers import RawTable
from lockgate.errors import BadData
from lockgate.problem import columns
from lockgate.problem.columns import KEY, TIME, Column, Date
from lockgate.problem.params import Source

PUT_FILES = (
    "put Kaggle's train.csv and store.csv there; for a generated chain of stores, set source: generated in params.yaml;"
    " in a temporary workspace of DVC, add: --copy-paths data/raw/train.csv --copy-paths data/raw/store.csv"
)


@dataclass(frozen=True)
class SourceFile:
    """An input file: name without folder, size and SHA-256."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class CsvSource:
    """The CSV files that rows were read from."""

    files: tuple[SourceFile, ...]
    kind: str = "csv"


@dataclass(frozen=True)
class Tables:
    """Rows sorted by key and time, stores sorted by key, and notes to print as warnings."""

    rows: pd.DataFrame
    stores: pd.DataFrame
    notes: tuple[str, ...] = ()


def _types(table: tuple[Column, ...]) -> dict[str, ColumnType]:
    return {column.name: column_type(column) for column in table}


def training_types(today: datetime.date) -> dict[str, ColumnType]:
    """Column types of train.csv; the last valid date is `today`."""
    in_future = f"in the future (today is {today})"
    return {
        column.name: iso_date(column.kind.first, today, in_future)
        if isinstance(column.kind, Date)
        else full_type(column.kind)
        for column in columns.HISTORY
    }


STORE_TYPES = _types(columns.STATIC_TABLE)
FORECAST_TYPES = _types(columns.REQUEST)
OPTIONAL_FORECAST_TYPES = _types(columns.REQUEST_EXTRAS)


def raw_files(folder: Path, source: Source) -> tuple[Path, Path] | None:
    """train and store, each .csv or .csv.gz, in a folder; None if the source is the generator.

    Raises BadData if a file is missing, exists in both forms or has a similar name, and if files exist although the
    source is the generator: files and generator never replace each other in silence.
    """
    train, store = (_one_form(folder, name) for name in ("train.csv", "store.csv"))
    if source == "generated":
        _refuse_unused(folder, [path.name for path in (train, store) if path])
        return None
    if train and store:
        return train, store
    if not train and not store:
        _refuse_similar_names(folder)
        raise BadData("there is no train.csv and no store.csv", where=str(folder), hint=PUT_FILES)
    missing, there = ("store.csv", "train.csv") if train else ("train.csv", "store.csv")
    raise BadData(f"{missing} is missing beside {there}", where=str(folder), hint="put both files there")


def read_tables(train: Path, store: Path, today: datetime.date | None = None) -> Tables:
    """Read and check Kaggle's two files; `today` (default: by this machine's clock) is the last valid date.

    Raises BadData with the line, the value and a hint.
    """
    store_table, train_table = readers.read_csv(store), readers.read_csv(train)
    stores = _stores(store_table)
    raw = _cells(train_table, training_types(today or datetime.date.today()))
    row_rules.refuse_in_past(raw, stores, train_table.place)
    notes = _ignored(train_table, columns.HISTORY) + _ignored(store_table, columns.STATIC_TABLE)
    return Tables(as_rows(raw), stores, notes)


def source_of(*paths: Path) -> CsvSource:
    """Name, size and SHA-256 of the files."""
    return CsvSource(tuple(SourceFile(path.name, path.stat().st_size, digests.of_file(path)) for path in paths))


def read_forecast_rows(path: Path) -> pd.DataFrame:
    """Rows to forecast in the form of Kaggle's test.csv, from CSV (plain, gzip) or parquet; all columns, in file order.

    The columns of FORECAST_TYPES and, if present, of OPTIONAL_FORECAST_TYPES are typed. Other columns keep their type
    (text from CSV). Raises BadData like `read_tables`.
    """
    is_parquet = text_file.magic(path) == text_file.PARQUET
    raw_table = readers.read_parquet(path) if is_parquet else readers.read_csv(path)
    column_types = FORECAST_TYPES | {
        name: column_type for name, column_type in OPTIONAL_FORECAST_TYPES.items() if name in raw_table.names
    }
    frame = _cells(raw_table, column_types)
    row_rules.refuse_wrong_weekday(frame, raw_table.place)
    return pd.DataFrame(
        {name: frame[name] if name in column_types else raw_table.untouched(name) for name in raw_table.names}
    )


def as_rows(raw: pd.DataFrame) -> pd.DataFrame:
    """The rows of train.csv in their final form, without past covariates: they are not known in advance."""
    return raw[columns.names(columns.ROWS)].sort_values([KEY, TIME], ignore_index=True)


def _stores(raw_table: RawTable) -> pd.DataFrame:
    stores = _cells(raw_table, STORE_TYPES)
    row_rules.refuse_in_stores(stores, raw_table.place)
    return stores.sort_values(KEY, ignore_index=True)


def _cells(raw_table: RawTable, column_types: Mapping[str, ColumnType]) -> pd.DataFrame:
    if missing := [name for name in column_types if name not in raw_table.names]:
        what = f"missing column {', '.join(missing)}; found {', '.join(map(readers.shown, raw_table.names[:20]))}"
        raise BadData(
            what, where=f"{raw_table.path}, header", hint="names are spelled as Kaggle does, upper and lower case"
        )
    frame = typed(raw_table, column_types)
    last = column_types.get(raw_table.names[-1])
    if raw_table.open_end and last and last.open_ended:
        raise BadData(
            f"the last line has no line end, so its {raw_table.names[-1]} may be truncated",
            where=raw_table.place(len(frame) - 1),
            hint="restore the file, or end its last line if it is complete",
        )
    return frame


def _ignored(raw_table: RawTable, table: tuple[Column, ...]) -> tuple[str, ...]:
    extra = [name for name in raw_table.names if name not in columns.names(table)]
    return (f"ignored column {', '.join(extra)} ({raw_table.path.name})",) if extra else ()


def _one_form(folder: Path, name: str) -> Path | None:
    there = [path for path in (folder / name, folder / f"{name}.gz") if path.exists() or path.is_symlink()]
    if len(there) > 1:
        raise BadData(f"{name} exists plain and as .gz", where=str(folder), hint="keep one of them")
    return there[0] if there else None


def _refuse_similar_names(folder: Path) -> None:
    """Refuse files under similar names that are not read, such as Kaggle's zip or Train.CSV."""
    if similar := _similar_names(folder):
        hint = "unpack and rename: train.csv and store.csv, plain or .gz"
        raise BadData(f"{', '.join(similar)} is not read", where=str(folder), hint=hint)


def _refuse_unused(folder: Path, names: list[str]) -> None:
    if names := names or _similar_names(folder):
        raise BadData(
            f"{', '.join(names)} would not be used: params.yaml says source: generated",
            where=str(folder),
            hint="to train on the files, set source: files in params.yaml; for the generated chain, remove the files",
        )


def _similar_names(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [name for name in names if name.lower().startswith(("train", "store")) or name.lower().endswith(".zip")]
