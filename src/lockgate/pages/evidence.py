"""What the run of a version shows: plots with their texts, scores by slice, the report. Read as the visitor may."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from lockgate.registry.own_server import Call
from lockgate.reports.page import Sheet
from lockgate.reports.plot_index import HOLDOUT_PLOTS, TRAINING_PLOTS, entries

FILE = "/get-artifact"
SLICES, REPORT = "tables/scores_by_slice.csv", "report/report.html"
MOST_ROWS = 200
LONGEST = 300  # characters of a name


@dataclass(frozen=True)
class Figure:
    """A plot of the run: its title, the text that says what it shows, and its address."""

    title: str
    alt: str
    address: str


@dataclass(frozen=True)
class Evidence:
    """The plots of the holdout and of the training, the scores by slice, and the address of the report."""

    holdout: tuple[Figure, ...]
    training: tuple[Figure, ...]
    slices: Sheet | None
    report: str | None


NOTHING = Evidence((), (), None, None)


def evidence(call: Call, run_id: str, digests: tuple[str, str], label: str) -> Evidence:
    """The evidence in a run. `digests` are those of the bundle and of the holdout.

    Anyone who may write to the run can change these files: plots of another bundle or holdout are left out.
    """
    run = _Run(call, run_id)
    bundle, holdout = digests
    drawn = run.index(HOLDOUT_PLOTS)
    if drawn is None or (drawn.get("bundle"), drawn.get("holdout")) != (bundle, holdout):
        return Evidence((), tuple(run.figures(run.index(TRAINING_PLOTS))), None, None)
    slices = _slices(run.read(SLICES), label)
    training = tuple(run.figures(run.index(TRAINING_PLOTS)))
    return Evidence(tuple(run.figures(drawn)), training, slices, run.address(REPORT))


@dataclass(frozen=True)
class _Run:
    """The files of a run."""

    call: Call
    run_id: str

    def address(self, path: str) -> str:
        """Where a browser finds a file, below the prefix of the server."""
        return f"{FILE}?{urlencode({'path': path, 'run_id': self.run_id})}"

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if there is none, or the visitor may not read it."""
        answer = self.call("GET", FILE, {"path": path, "run_id": self.run_id})
        return answer.body if answer.status == HTTPStatus.OK else None

    def index(self, name: str) -> dict[str, object] | None:
        """An index of plots; None if it cannot be read."""
        try:
            found = json.loads(self.read(f"plots/{name}") or b"null")
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def figures(self, index: dict[str, object] | None) -> Iterator[Figure]:
        """The plots of an index; none of one that is not as Lockgate writes it."""
        try:
            found = entries(json.dumps(index or {}))
        except (KeyError, TypeError, AttributeError):
            return
        for each in found:
            yield Figure(each.title[:LONGEST], each.alt, self.address(f"plots/{each.file}"))


def _slices(content: bytes | None, label: str) -> Sheet | None:
    """The scores by slice, beside those of the version in Production where it has some."""
    try:
        rows = list(csv.DictReader(io.StringIO((content or b"").decode())))[:MOST_ROWS]
        cells = tuple(
            (row["name"][:LONGEST], row["rows"], _number(row["score"]), _number(row["production"])) for row in rows
        )
    except (ValueError, KeyError, TypeError, csv.Error):
        return None
    both = any(cell[3] != "–" for cell in cells)
    heads = ("slice", "rows", f"{label} of this version", *([f"{label} in Production"] if both else []))
    return Sheet("Scores by slice", heads, tuple(cell[: len(heads)] for cell in cells)) if cells else None


def _number(text: str) -> str:
    """A number with five significant digits; a dash for none."""
    return "–" if text.strip().lower() in ("", "nan") else f"{float(text):.5g}"
