"""Which keys are in which partition, on which worker, and in the sample."""

import numpy as np
import pandas as pd
import panel_tables
import pytest

from lockgate.models.lightgbm_dask import without_copy
from lockgate.training import part_learning
from lockgate.training.fits_on_workers import with_enough_rows
from lockgate.training.part_learning import Labels, LearnedPart, PartResult
from lockgate.training.partitions import Layout, layout, outline

SHOPS = tuple(f"{place:03}" for place in range(60))


def rows_of(shops) -> pd.DataFrame:
    """Ten days of each shop; those with a number from 40 on have no target."""
    rows = pd.DataFrame({"shop": np.repeat(list(shops), 10), "y": 1.0, "event": 0, "price": 1.0})
    rows["time"] = np.tile(panel_tables.rows("day")[0]["time"].unique()[:10], len(shops))
    rows.loc[rows["shop"] >= "040", "y"] = np.nan
    return rows


def laid_out(files: int) -> Layout:
    problem = panel_tables.problem("day")
    parts = [rows_of(shops) for shops in np.array_split(np.array(SHOPS), files)]
    found = [outline(file, lambda number: parts[number], problem) for file in range(files)]
    return layout(problem, found, pd.DataFrame())


@pytest.mark.parametrize(
    ("files", "workers", "partitions"),
    [(3, 1, 3), (3, 2, 6), (2, 2, 2), (1, 4, 4), (5, 4, 15), (30, 4, 30), (60, 7, 60)],
)
def test_partitions_are_cut_until_each_worker_has_about_as_many(files, workers, partitions):
    found = laid_out(files).cut(workers)
    assert len(found.partitions) == partitions
    assert np.concatenate([each.part.places for each in found.partitions]).tolist() == list(range(len(SHOPS)))


def test_the_sample_has_keys_with_a_target_that_is_learned():
    found = laid_out(2)
    assert set(found.sample(20, 7).series.frame["shop"]) < set(SHOPS[:40])
    assert found.sample(50, 7).series.frame["shop"].tolist() == list(SHOPS[:40])
    assert found.sample(60, 7).series.frame["shop"].tolist() == list(SHOPS)


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([50, 50, 40, 60], {"a": [0, 1], "b": [2, 3]}),
        ([50, 50, 0, 0], {"a": [0, 1, 2, 3]}),
        ([0, 4, 40, 60], {"b": [0, 1, 2, 3]}),
        ([0, 6, 40, 60], {"a": [0, 1], "b": [2, 3]}),
    ],
)
def test_a_worker_with_few_training_rows_gives_them_to_another_one(rows, kept):
    assert dict(with_enough_rows([("a", [0, 1]), ("b", [2, 3])], rows)) == kept


def learned(*rows_after_cutoffs: list[float]) -> LearnedPart:
    """A partition with these rows after each cutoff."""
    numbers = np.concatenate([np.array(rows, dtype=np.float32) for rows in rows_after_cutoffs])
    result = PartResult((), None, [len(rows) for rows in rows_after_cutoffs], 2)
    return LearnedPart(np.column_stack([numbers, -numbers]), {"lightgbm": Labels(numbers, 2 * numbers)}, result)


def test_joined_rows_are_by_cutoff_then_by_partition_and_a_repeat_changes_nothing():
    parts = [learned([1, 2], [], [3]), learned([], [4, 5], [6]), learned([7], [8], [])]
    starts = part_learning.starts_of([part.result for part in parts])
    values = part_learning.unfilled(8, 2)
    for part, own in (*zip(parts, starts, strict=True), (parts[1], starts[1])):
        values = part_learning.filled(values, part, own)
    assert values[:, 0].tolist() == [1, 2, 7, 4, 5, 8, 3, 6]
    assert np.array_equal(values[:, 1], -values[:, 0])
    labels = part_learning.labels_of(parts, "lightgbm")
    assert np.array_equal(labels.labels, values[:, 0])
    assert np.array_equal(labels.weights, 2 * values[:, 0])


def test_lightgbm_does_not_copy_the_only_part_of_a_worker():
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert np.shares_memory(np.concatenate([without_copy(values)], axis=0), values)
    assert np.concatenate([without_copy(values)] * 2, axis=0).shape == (6, 2)
