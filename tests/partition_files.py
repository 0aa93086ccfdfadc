"""Rows in files that the tasks of a training on Dask read; workers import this module."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from lockgate.training.partitions import Source


def read(folder: str, file: int) -> pd.DataFrame:
    return pd.read_pickle(Path(folder) / f"{file}.pickle")


def read_too_much(folder: str, file: int) -> pd.DataFrame:
    """The last of three files needs more memory than a worker has."""
    return pd.DataFrame({"x": np.ones(200_000_000)}) if file == 2 else read(folder, file)


def read_too_much_the_third_time(folder: str, file: int) -> pd.DataFrame:
    """A file needs more memory than a worker has, after its outline and its rows of the sample have been read."""
    mark = Path(folder) / f"read-{file}"
    reads = len(mark.read_text()) if mark.exists() else 0
    mark.write_text("x" * (reads + 1))
    return read_too_much(folder, 2) if reads == 2 else read(folder, file)


def source(folder: Path, rows: pd.DataFrame, static: pd.DataFrame, key: str, files: int) -> Source:
    """The rows in files, each with whole keys."""
    for file, own in enumerate(np.array_split(np.sort(rows[key].unique()), files)):
        rows[rows[key].isin(own)].reset_index(drop=True).to_pickle(folder / f"{file}.pickle")
    return Source(files, partial(read, str(folder)), static)
