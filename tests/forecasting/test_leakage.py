"""A feature that knows a later sale is found, in the code and in a bundle's own past, and the gate says which."""

import weakref
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import small_chain

from lockgate.bundle import store
from lockgate.data import dataset
from lockgate.data.data_card import card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.data.rows_by_part import RowsByPart
from lockgate.evaluation import leakage, sandboxed
from lockgate.features import training_rows
from lockgate.features.scale import LOG
from lockgate.features.store_panel.recipe import STORE_PANEL
from lockgate.gate import checks
from lockgate.gate.evidence import Outcome

HORIZON = 42


def found(forecaster=None, rows=None):
    forecaster = small_chain.forecaster() if forecaster is None else forecaster
    return leakage.check(forecaster, small_chain.parts().rows if rows is None else rows)


def answer(seen):
    return checks.CHECKS["no data leakage"](SimpleNamespace(leakage=seen, uses_target_history=True), None)[:2]


def whole_table():
    return small_chain.table(small_chain.chain().rows)


def with_level(state, level):
    return replace(state, history=replace(state.history, level=level))


def peeking_fit(table, cutoffs, horizon, shared=None):
    """Honest, but for the level: as if a rolling mean were taken before the rows were cut at the cutoff."""
    later = np.nanmean(LOG.scaled(table.history.target[:, -28:]), axis=1).astype(np.float32)
    fitted = STORE_PANEL.fit(table, cutoffs, horizon, shared)
    return {cutoff: with_level(state, later) for cutoff, state in fitted.items()}


class Parts:
    """The rows in parts with whole stores; `most` counts the rows that were in memory at one time."""

    def __init__(self, count):
        self.alive = self.most = 0
        rows = small_chain.parts().rows
        self.frames = [rows[rows["Store"].isin(stores)] for stores in np.array_split(np.unique(rows["Store"]), count)]

    def read(self, place):
        found = self.frames[place].copy()
        self.alive += len(found)
        self.most = max(self.most, self.alive)
        weakref.finalize(found, self.freed, len(found))
        return found

    def freed(self, rows):
        self.alive -= rows

    def rows(self):
        return RowsByPart(tuple(partial(self.read, place) for place in range(len(self.frames))))


def learned_by_a_sample():
    """A forecaster whose stored history is that of a training where half of the stores learn what all share."""
    whole, table = small_chain.forecaster(), small_chain.table()
    sample = np.arange(0, len(table.series), 2)
    lowest = float(np.nanmin(table.history.target))
    shared = whole.recipe.shared_of(table.take(sample), len(table.series), lowest, HORIZON)
    state = whole.recipe.fit(table, [table.last], HORIZON, shared)[table.last]
    return replace(whole, state=state, sample=sample)


def test_the_check_of_rows_in_parts_is_that_of_one_file_and_holds_few_parts():
    honest, parts = learned_by_a_sample(), Parts(6)
    seen = found(honest, parts.rows())
    assert seen == found(honest)
    assert seen.history_mismatch == ()
    assert parts.most <= 2 * max(map(len, parts.frames))
    last = honest.state.history.level.copy()
    last[-1] += 1
    moved = replace(honest, state=with_level(honest.state, last))
    assert found(moved, parts.rows()).history_mismatch == found(moved).history_mismatch == ("level_364",)


def test_without_a_sample_all_stores_are_fitted_again_together():
    whole = small_chain.forecaster()
    assert found(whole, Parts(6).rows()) == found(whole)


def test_an_honest_forecaster_passes_and_many_of_its_features_do_know_the_past():
    seen = found()
    until = small_chain.trained_until(small_chain.forecaster())
    assert (seen.leaking_features, seen.history_mismatch, seen.cutoff) == ((), (), str(until))
    assert seen.features_using_history >= 10
    outcome, says = answer(seen)
    assert outcome is Outcome.PASSED
    assert says == (
        f"{seen.features_using_history} of {seen.tested_features} features depend on targets before the cutoff, none on"
        f" later targets; the stored history matches the data up to {seen.cutoff}"
    )


def test_a_feature_whose_code_looks_past_the_origin_is_refused_by_name():
    peeking = replace(small_chain.forecaster(), recipe=replace(STORE_PANEL, fit=peeking_fit))
    outcome, says = answer(found(peeking))
    assert (outcome, says) == (
        Outcome.REFUSED,
        "replacing targets after the training cutoff changes level_364: these features use future data",
    )


def test_a_bundle_whose_past_reaches_past_its_origin_is_doubted_by_name():
    """Its code is honest, and says so; its arrays were made of the holdout too."""
    honest = small_chain.forecaster()
    table = whole_table()
    later = STORE_PANEL.fit(table, [table.last], HORIZON)[table.last]
    moved = replace(later, history=replace(later.history, origin=honest.state.cutoff))
    outcome, says = answer(found(replace(honest, state=moved)))
    assert outcome is Outcome.INCONCLUSIVE
    assert "ridge, mean_364, spread_364" in says
    one_array = with_level(honest.state, later.history.level)
    assert found(replace(honest, state=one_array)).history_mismatch == ("level_364",)


def test_a_past_of_other_rows_is_doubted_too():
    """One store sold a tenth more on the last day, as it was corrected since."""
    rows = small_chain.parts().rows.copy()
    last = (rows["Date"] == rows["Date"].max()) & (rows["Store"] == 1)
    assert (rows.loc[last, "Sales"] > 0).all()
    rows.loc[last, "Sales"] = (rows.loc[last, "Sales"] * 1.1).astype(rows["Sales"].dtype)
    assert "level_364" in found(rows=rows).history_mismatch


@pytest.mark.parametrize("days", [0, 42])
def test_rows_that_go_on_after_the_origin_change_nothing(days):
    rows = small_chain.chain().rows
    until = small_chain.parts().rows["Date"].max() + np.timedelta64(days, "D")
    assert found(rows=rows[rows["Date"] <= until]) == found()


def test_rows_that_end_before_the_origin_cannot_tell():
    rows = small_chain.parts().rows
    seen = found(rows=rows[rows["Date"] < rows["Date"].max()])
    assert seen is None
    assert answer(seen)[0] is Outcome.INCONCLUSIVE


def test_a_probe_that_sees_nothing_move_has_proven_nothing(monkeypatch):
    monkeypatch.setattr(leakage, "_with_noise", lambda table, *_: table)
    assert answer(found())[0] is Outcome.INCONCLUSIVE


def test_no_row_to_learn_from_knows_a_sale_after_its_origin_either():
    """The boosters are taught on blocks of many origins that share their work; here of all of them after the first."""
    table = whole_table()
    origins = training_rows.cutoffs(table, table.last, HORIZON, 182)
    first = origins[0]
    noisy = leakage._with_noise(table, first + 1, table.last, np.random.default_rng(1))
    was, now = (STORE_PANEL.fit(each, origins, HORIZON)[first] for each in (table, noisy))
    rows = table.known_inputs(first + 1, first + HORIZON)
    assert same(*(leakage.columns(state, rows) for state in (was, now)))


def same(these, those):
    return all(np.array_equal(these[name], those[name], equal_nan=True) for name in these)


def test_each_feature_of_a_row_rests_on_sales_at_least_as_old_as_its_days_ahead():
    """Noise on all days younger than that moves nothing in the row; the sale that is just as old moves some of them."""
    table = whole_table()
    origin = table.last - HORIZON
    for ahead in (1, 2, 7, 28, HORIZON):
        day, seen = origin + ahead, []
        row = table.known_inputs(day, day)
        for first in (day - ahead + 1, day - ahead):
            noisy = leakage._with_noise(table, first, table.last, np.random.default_rng(ahead))
            seen.append(leakage.columns(STORE_PANEL.fit(noisy, [origin], HORIZON)[origin], row))
        truth = leakage.columns(STORE_PANEL.fit(table, [origin], HORIZON)[origin], row)
        assert same(seen[0], truth)
        assert not same(seen[1], truth)


def test_the_child_that_opens_a_candidate_looks_for_leaks_where_it_is_asked_to(tmp_path):
    forecaster, folder = small_chain.forecaster(), tmp_path / "prepared"
    digest = store.save(forecaster, tmp_path / "bundle")
    whole = Tables(small_chain.chain().rows, small_chain.chain().stores)
    dataset.write(
        folder,
        {"rows": small_chain.parts().rows, "holdout": small_chain.parts().holdout},
        card_of(small_chain.params().problem, FileSource(()), whole, small_chain.parts()),
    )
    request = sandboxed.Request(str(tmp_path / "bundle"), digest, (), str(folder))
    held = sandboxed.forecast(request, small_chain.asked())
    assert held.uses_target_history
    assert held.leakage == found()
    without = sandboxed.forecast(replace(request, prepared=None), small_chain.asked())
    assert without.leakage is None
