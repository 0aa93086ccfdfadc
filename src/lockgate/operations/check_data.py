"""What is doubtful about the data of a problem, before any training; the picture and the page of it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from lockgate.data import ingest, split
from lockgate.describe import page, remarks
from lockgate.describe.remarks import Checked, Measures, Remark
from lockgate.errors import BadConfiguration
from lockgate.features import declared
from lockgate.problem.params import PARAMS_FILE, Params


@dataclass(frozen=True)
class Check:
    """The data that were checked, what was measured, the remarks, and the notes of reading."""

    checked: Checked
    measures: Measures
    remarks: tuple[Remark, ...]
    notes: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The size of the data and the number of doubts, in a sentence."""
        doubts = sum(remark.level == "doubt" for remark in self.remarks)
        rows, held = len(self.checked.rows), len(self.checked.holdout)
        return f"{rows:,} rows to train on, {held:,} in the holdout; {doubts} doubt{'' if doubts == 1 else 's'}"


def check(params: Params, raw: Path = ingest.RAW) -> Check:
    """Read the raw files by the description, split them, and look at both parts.

    Raises BadData or BadConfiguration where `prepare` would: with the file, the line, the value and a hint.
    """
    problem = params.problem
    declared.check(problem)
    files = ingest.raw_files(problem, raw, params.source)
    if files is None:
        raise BadConfiguration("source: generated has no raw files", where=str(PARAMS_FILE), hint="set source: files")
    tables = ingest.read(problem, files)
    parts = split.split(problem, tables.rows)
    checked = Checked(problem, parts.rows, parts.holdout)
    measures = remarks.measures_of(checked)
    return Check(checked, measures, tuple(remarks.remarks_on(checked, measures)), tables.notes)


def draw(found: Check, path: Path) -> None:
    """Write the picture as PNG."""
    from lockgate.reports import data_picture

    data_picture.draw(found.checked, found.measures, path)


def page_of(found: Check) -> str:
    """The HTML page: the picture and the remarks."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        draw(found, picture)
        return page.page_of(found.checked.problem.name, found.summary, found.remarks, picture.read_bytes())
