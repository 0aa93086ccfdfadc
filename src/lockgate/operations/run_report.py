"""What a verdict adds to the run of a version: plots, tables and the report, made in the build folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.database.verdicts import StoredVerdict
from lockgate.operations import verdict_review
from lockgate.operations.stage_files import Build
from lockgate.reports import plot_index
from lockgate.reports.review_data import Review

if TYPE_CHECKING:
    from lockgate.registry.client import Registry
    from lockgate.registry.run_log import LoggedFile
    from lockgate.reports.holdout_review import Judged

OVERVIEW = "holdout"  # the name of a plot
SLICES, COVERAGE, EXPLAINED = "scores_by_slice.csv", "coverage.csv", "explained_rows.csv"
VERDICT, REPORT = "verdict.json", "report.html"


def draw(judged: "Judged", made: Build, found: StoredVerdict) -> None:
    """Write the plots of the holdout and their tables into the build folder."""
    import pandas as pd

    from lockgate.reports import explained_cases, holdout_review, plot

    clear(made)
    plot.write(holdout_review.plots(judged), made.plots, plot_index.HOLDOUT_PLOTS, _about(found))
    made.tables.mkdir(parents=True, exist_ok=True)
    scores = pd.DataFrame([asdict(each) for each in judged.slices], columns=["name", "rows", "score", "production"])
    scores.to_csv(made.tables / SLICES, index=False)
    if judged.coverage:
        pd.DataFrame(judged.coverage, columns=["stated", "measured"]).to_csv(made.tables / COVERAGE, index=False)
    if judged.explained:
        effects = pd.DataFrame(explained_cases.table(judged.explained), columns=list(explained_cases.COLUMNS))
        effects.to_csv(made.tables / EXPLAINED, index=False)


def clear(made: Build) -> None:
    """Delete what an earlier verdict left, so that nothing of it is taken for the next one."""
    index = made.plots / plot_index.HOLDOUT_PLOTS
    if index.is_file():
        for entry in plot_index.entries(index.read_text(encoding="utf-8")):
            (made.plots / entry.file).unlink(missing_ok=True)
    for path in (index, made.tables / SLICES, made.tables / COVERAGE, made.tables / EXPLAINED):
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class RunFiles:
    """The files to log on the run, and the path of the overview in the run (None: there is none of this verdict)."""

    files: "list[LoggedFile]"
    overview: str | None


def files(registry: "Registry", review: Review, found: StoredVerdict, made: Build) -> RunFiles:
    """Write verdict and report; the plots and tables of this verdict are added if they are in the build folder.

    The report has all plots of the run; those of the holdout only for a verdict on forecasts.
    """
    from lockgate.registry.run_log import LoggedFile
    from lockgate.reports import plot, review_page

    drawn = _drawn(made, found)
    pictures = registry.files_of_run(review.run_id, "plots") | {path.name: path.read_bytes() for path in drawn}
    if not found.metrics:
        pictures.pop(plot_index.HOLDOUT_PLOTS, None)
    shown = plot.of_files(pictures)
    made.report.mkdir(parents=True, exist_ok=True)
    (made.report / VERDICT).write_text(json.dumps(verdict_review.as_json(found), indent=2) + "\n", encoding="utf-8")
    page = review_page.html(review, shown)
    (made.report / REPORT).write_text(page, encoding="utf-8")
    tables = [made.tables / name for name in (SLICES, COVERAGE, EXPLAINED)] if drawn else []
    paths = [made.report / VERDICT, made.report / REPORT, *drawn, *(path for path in tables if path.is_file())]
    overview = next((f"plots/{each.file}" for each in shown if each.name == OVERVIEW), None)
    return RunFiles([LoggedFile(path, path.parent.name) for path in paths], overview)


def _drawn(made: Build, found: StoredVerdict) -> list[Path]:
    """The plots of this verdict and their index; none if the folder has those of another one."""
    index = made.plots / plot_index.HOLDOUT_PLOTS
    if not index.is_file():
        return []
    content = index.read_text(encoding="utf-8")
    about = json.loads(content)
    if any(about.get(name) != value for name, value in _about(found).items()):
        return []
    paths = [made.plots / entry.file for entry in plot_index.entries(content)]
    return [*(path for path in paths if path.is_file()), index]


def _about(found: StoredVerdict) -> dict[str, str]:
    return {"bundle": found.digests.bundle_digest, "holdout": found.digests.holdout_digest}
