"""The training snapshot of a bundle: every kind has one, it changes no forecast, and its bytes are verified."""

import json
from pathlib import Path

import engine_fleet
import numpy as np
import pandas as pd
import panel_tables
import plain_tables
import pytest
import small_chain
from logged_frames import logged

from lockgate.bundle import manifest, snapshot, store
from lockgate.bundle.snapshot import snapshot_of
from lockgate.errors import IntegrityBroken
from lockgate.monitoring.drift import drift
from lockgate.monitoring.live import live_of
from lockgate.problem.params import DriftRule
from lockgate.training.train import train

KINDS = ("panel", "state", "regression", "binary", "multiclass")


def trained(kind):
    """A forecaster and its training rows."""
    if kind == "panel":
        return small_chain.forecaster(), small_chain.parts().rows
    if kind == "state":
        rows = engine_fleet.fleet(6)
        given = plain_tables.params("regression")
        problem = engine_fleet.fleet_problem("last", members=("linear",))
        return train(rows, pd.DataFrame(), given.model_copy(update={"problem": problem}), lambda *_: None)[0], rows
    rows = plain_tables.rows(kind, 300)
    return train(rows, pd.DataFrame(), plain_tables.params(kind, members=["linear"]), lambda *_: None)[0], rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_of_every_kind_has_a_snapshot_and_forecasts_the_same_with_it(kind, tmp_path: Path) -> None:
    forecaster, rows = trained(kind)
    found = snapshot_of(forecaster, rows)
    compared = {column.name for column in snapshot.compared(forecaster.problem)}
    assert {column.name for column in found.columns} == compared
    assert all(sum(column.counts) == len(rows) for column in found.columns)
    assert found.forecasts is not None
    bare = store.save(forecaster, tmp_path / "bare")
    digest = store.save(forecaster, tmp_path / "bundle", found)
    assert digest != bare
    assert digest == store.save(forecaster, tmp_path / "again", snapshot_of(forecaster, rows))
    assert store.snapshot(tmp_path / "bundle", digest) == found
    assert store.snapshot(tmp_path / "bare", bare) is None
    probe = pd.DataFrame(store.probe_rows(tmp_path / "bundle"))
    opened = [store.load(tmp_path / name, each) for name, each in (("bundle", digest), ("bare", bare))]
    np.testing.assert_array_equal(*(each.predict(probe) for each in opened))


@pytest.mark.parametrize("name", panel_tables.TABLES)
def test_the_reference_of_a_panel_is_the_next_horizon_with_covariates_of_an_earlier_season(name) -> None:
    problem, (rows, _) = panel_tables.problem(name), panel_tables.rows(name)
    period, last = problem.period, int(problem.period.number(rows["time"].to_numpy()).max())
    window = snapshot.Window(last, last + panel_tables.HORIZONS[name], last + 2 * panel_tables.HORIZONS[name])
    found = snapshot.reference_rows(problem, rows, window)
    numbers = period.number(found["time"].to_numpy())
    season = period.seasons[-1] if period.seasons else panel_tables.HORIZONS[name]
    if len(found):  # a history shorter than a season has no such rows
        assert set(numbers) <= set(range(last + 1, window.judged + 1))
        before = rows[period.number(rows["time"].to_numpy()) == numbers[0] - season]
        assert found["price"].iloc[0] in set(before["price"]) | {np.nan}


def test_without_a_season_of_history_there_is_no_distribution_of_forecasts() -> None:
    rows = small_chain.parts().rows
    recent = rows[rows["Date"] > rows["Date"].max() - pd.Timedelta(days=200)]
    assert snapshot_of(small_chain.forecaster(), recent).forecasts is None


def test_a_changed_an_extra_and_a_missing_snapshot_are_refused(tmp_path: Path) -> None:
    forecaster, rows = trained("regression")
    folder = tmp_path / "bundle"
    digest = store.save(forecaster, folder, snapshot_of(forecaster, rows))
    content = (folder / snapshot.FILE).read_bytes()
    for wrong in (content.replace(b"0", b"1", 1), content[:-1]):
        (folder / snapshot.FILE).write_bytes(wrong)
        for read in (store.load, store.snapshot):
            with pytest.raises(IntegrityBroken):
                read(folder, digest)
    (folder / snapshot.FILE).unlink()
    with pytest.raises(IntegrityBroken, match=r"snapshot\.json"):
        store.load(folder, digest)
    bare = store.save(forecaster, tmp_path / "bare")
    (tmp_path / "bare" / snapshot.FILE).write_bytes(content)
    with pytest.raises(IntegrityBroken, match=r"snapshot\.json"):
        store.load(tmp_path / "bare", bare)


def test_the_snapshot_is_small_and_holds_no_key_of_a_row(tmp_path: Path) -> None:
    forecaster, rows = trained("panel")
    found = json.loads(snapshot_of(forecaster, rows).as_json())
    assert {column["name"] for column in found["columns"]}.isdisjoint(forecaster.problem.keys)
    folder = tmp_path / "bundle"
    store.save(forecaster, folder, snapshot_of(forecaster, rows))
    assert (folder / snapshot.FILE).stat().st_size < 100_000
    assert snapshot.FILE in manifest.names(folder)


def test_no_week_of_the_holdout_has_drifted_though_promotions_come_and_go() -> None:
    forecaster, rows = trained("panel")
    found, holdout = snapshot_of(forecaster, rows), small_chain.parts().holdout
    week = ((holdout["Date"] - holdout["Date"].min()).dt.days // 7).to_numpy()
    indices = []
    for number in range(6):
        asked = holdout[week == number].reset_index(drop=True)
        live = live_of(forecaster.problem, logged(forecaster.problem, asked, forecaster.predict(asked)))
        drifted = drift(found, live, DriftRule(), 30)
        indices += [column.index for column in drifted.columns if column.name == "Promo"]
        assert (drifted.broken, drifted.names) == (False, ())
    assert min(indices) > DriftRule().index  # the usual limit alone would alert in each of these weeks
