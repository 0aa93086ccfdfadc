"""Reads a file with a guessed layout as a table of text."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.errors import ParserWarning

from lockgate.data import readers, text_file
from lockgate.describe.layout import SPACES, Layout
from lockgate.describe.table import Texts, TextTable, repeated_names
from lockgate.errors import BadData


def read(path: Path, layout: Layout) -> TextTable:
    """The columns of a file. Raises BadData for a file without rows, or with lines of different lengths."""
    table = _of_parquet(path) if layout.format == "parquet" else _of_csv(path, layout)
    if twice := repeated_names(table.names):
        raise BadData(f"column {twice[0]} appears twice", where=f"{path}, header", hint="keep one of them")
    if not table.rows:
        raise BadData("no data rows: there is only a header", where=str(path), hint="restore the file")
    return table


def _of_parquet(path: Path) -> TextTable:
    raw = readers.read_parquet(path)
    columns = []
    for name in raw.names:
        texts = raw.texts(name)
        columns.append(Texts(name, tuple(texts.distinct()), texts.codes.astype(np.int64)))
    return TextTable(tuple(columns))


def _of_csv(path: Path, layout: Layout) -> TextTable:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ParserWarning)
            frame = _frame(path, layout)
    except (ValueError, ParserWarning) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BadData(
            f"the table cannot be read: {reason}", where=str(path), hint="each line needs as many cells as the header"
        ) from error
    return TextTable(tuple(_column(name, frame[place]) for place, name in enumerate(_full_names(layout.names))))


def _frame(path: Path, layout: Layout) -> pd.DataFrame:
    return pd.read_csv(
        path,
        sep=r"\s+" if layout.delimiter == SPACES else layout.delimiter,
        header=None,
        names=list(range(len(layout.names))),
        skiprows=1 if layout.header else 0,
        dtype=str,
        na_filter=False,
        index_col=False,
        encoding=layout.encoding,
        compression="gzip" if text_file.magic(path, 2) == text_file.GZIP else None,
    )


def _column(name: str, cells: "pd.Series[str]") -> Texts:
    codes, distinct = pd.factorize(cells.to_numpy(dtype=object))
    return Texts(name, tuple(map(str, distinct)), codes.astype(np.int64))


def _full_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a header; a column without one is named as pandas does."""
    return tuple(name or f"Unnamed: {place}" for place, name in enumerate(names))
