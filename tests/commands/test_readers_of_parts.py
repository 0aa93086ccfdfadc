"""Whoever reads prepared data finds the same in parts as in one file, and holds a few parts at a time."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lockgate.comparison import compare
from lockgate.data import data_card, dataset, split
from lockgate.engine.engine import InProcess
from lockgate.evaluation.sandboxed import Forecasts
from lockgate.gate.evidence import HoldoutUse
from lockgate.operations import logged_rows, run_record
from lockgate.operations.load_version import Fetched, alone_places
from lockgate.operations.score_candidate import CONFIDENCES, Circumstances, Findings, Tables, findings_of
from lockgate.pipeline import prepare_in_parts
from lockgate.pipeline.prepare_in_parts import Plan
from lockgate.problem.description import Bins, Problem
from lockgate.problem.params import GeneratorParams, load_params
from lockgate.synthetic import generator

PROBLEM = load_params(Path(__file__).parents[2] / "params.yaml").problem
SMALL = GeneratorParams(seed=3, stores=9, days=400, noise=0.05)
VERSION = Fetched(1, "d", Path("bundle"), True, True, "r")
WAYS = [*PROBLEM.slices, Bins(column="CompetitionDistance", bins=3)]
PROBLEMS = {
    "rmspe": PROBLEM,
    "mase": PROBLEM.model_copy(update={"metric": "mase", "slices": WAYS}),
    "naive": PROBLEM.model_copy(update={"metric": "mae", "baseline": "naive"}),
    "median": PROBLEM.model_copy(update={"metric": "mae", "baseline": "group_median"}),
    "mean": PROBLEM.model_copy(update={"metric": "mae", "baseline": "mean"}),
}


def in_one_file(folder: Path, given: GeneratorParams) -> Path:
    tables, source = generator.tables_and_source(given, PROBLEM)
    made = split.split(PROBLEM, tables.rows)
    card = data_card.card_of(PROBLEM, source, tables, made)
    dataset.write(folder, {"rows": made.rows, "holdout": made.holdout, "static": tables.static}, card)
    return folder


def in_parts(folder: Path, given: GeneratorParams, part_rows: int) -> Path:
    prepare_in_parts.generate(Plan(PROBLEM, folder, part_rows, InProcess()), given)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same chain prepared in one file and in parts."""
    plain, parts = (tmp_path_factory.mktemp(name) / "prepared" for name in ("plain", "parts"))
    in_parts(parts, SMALL, 1500)
    assert len(dataset.parts(parts, "rows")) == 3
    return in_one_file(plain, SMALL), parts


def forecasts(holdout: pd.DataFrame, seed: int) -> Forecasts:
    """Forecasts around the truth, with bounds; none for the first row."""
    count, drawn = len(holdout), np.random.default_rng(seed)
    together = np.where(holdout["Open"] == 0, 0.0, 50 + holdout["Sales"] * drawn.uniform(0.9, 1.1, count))
    bounds = np.stack([0.9 * together, 1.1 * together], axis=1)
    covered = np.arange(count) > 0
    more = np.stack([bounds] * len(CONFIDENCES))
    alone = together[list(alone_places(holdout))]
    return Forecasts(together, bounds, alone, covered, None, (), None, None, True, more)


def judged(folder: Path, problem: Problem, *, dropped: int | None = None) -> Findings:
    """The findings on a folder; a store may have no training rows."""
    tables = Tables.read(folder)
    if dropped is not None:
        tables = replace(tables, rows=tables.rows.map(lambda part: part[part["Store"] != dropped]))
    known = Circumstances.of(problem, VERSION, tables, (), HoldoutUse(), "r")
    ours, theirs = (forecasts(tables.holdout, seed) for seed in (1, 2))
    return findings_of(tables, ours, (replace(VERSION, version=2), theirs), known)


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        ("rmspe", 4),
        ("mase", 4),
        *(pytest.param(name, dropped, marks=pytest.mark.long) for name in PROBLEMS for dropped in (None, 4)),
    ],
)
def test_the_findings_of_a_validation_are_equal_to_the_last_bit(folders, name, dropped):
    """Also for a store without training rows, whose baseline and scale are those of all rows."""
    plain, parts = (judged(folder, PROBLEMS[name], dropped=dropped) for folder in folders)
    assert repr(parts.evidence) == repr(plain.evidence)
    assert parts.metrics == plain.metrics
    assert np.isfinite(list(plain.metrics.values())).all()
    for field in ("slices", "coverage"):
        assert repr(getattr(parts.judged, field)) == repr(getattr(plain.judged, field))
    assert parts.judged.production.changes == plain.judged.production.changes
    past, expected = parts.judged.scored.past, plain.judged.scored.past
    pd.testing.assert_series_equal(past.sums, expected.sums)
    in_order = [each.rows.sort_values(["Store", "Date"], ignore_index=True) for each in (past, expected)]
    pd.testing.assert_frame_equal(*in_order)


def test_the_tables_of_a_validation(folders: tuple[Path, Path]) -> None:
    plain, parts = map(Tables.read, folders)
    pd.testing.assert_frame_equal(parts.rows.joined(), plain.rows.joined())
    for name in ("holdout", "static"):
        pd.testing.assert_frame_equal(getattr(parts, name), getattr(plain, name))


def test_the_background_of_a_monitor(folders: tuple[Path, Path]) -> None:
    (plain, no_remark), (parts, remark) = (logged_rows.background(PROBLEM, folder) for folder in folders)
    assert (remark, parts.cutoff) == (no_remark, plain.cutoff) == ("", plain.cutoff)
    assert parts.history is not None
    assert plain.history is not None
    pd.testing.assert_frame_equal(parts.history.joined(), plain.history.joined())


def test_the_rows_of_a_comparison(folders: tuple[Path, Path]) -> None:
    plain, parts = (compare.read_rows(PROBLEM, None, folder) for folder in folders)
    assert plain
    assert parts
    pd.testing.assert_frame_equal(parts.rows, plain.rows)
    assert Path(parts.source).name == "holdout"


def test_the_dataset_of_a_run_shows_the_types_the_missing_values_and_the_number_of_all_rows(folders):
    for part in ("rows", "holdout"):
        (some, count), (plain, expected) = (run_record.example_of(dataset.by_part(folder, part)) for folder in folders)
        whole = dataset.read(folders[0], part)
        assert count == expected == len(whole)
        assert len(some) < len(whole) / 10
        for found in (some, plain):
            assert found.dtypes.to_dict() == whole.dtypes.to_dict()
            assert found.isna().any().to_dict() == whole.isna().any().to_dict()


def peak(folder: Path, name: str) -> int:
    """The most bytes of arrays and frames while a version is judged and its record is made."""
    tracemalloc.start()
    try:
        judged(folder, PROBLEMS[name])
        run_record.example_of(dataset.by_part(folder, "rows"))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.long
@pytest.mark.parametrize("name", ["rmspe", "mase"])
def test_memory_does_not_grow_with_the_training_rows(tmp_path, name):
    """Three times the days in three times the parts, with as many keys and as large a holdout."""
    few, many = (
        in_parts(tmp_path / str(days), GeneratorParams(seed=3, stores=64, days=days, noise=0.05), 16000)
        for days in (600, 1800)
    )
    sizes = [len(dataset.parts(folder, "rows")) for folder in (few, many)]
    assert sizes[1] >= 2 * sizes[0] > 4
    peak(few, name)  # imports and caches
    assert peak(many, name) < 1.3 * peak(few, name)
