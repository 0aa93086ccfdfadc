"""The leak probe finds what a feature knows without being told."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_chain
from click.testing import CliRunner

from lockgate.data import dataset, ingest, split
from lockgate.data.data_card import card_of
from lockgate.errors import GateRefused
from lockgate.evaluation import leakage
from lockgate.features.scale import LOG
from lockgate.features.store_panel.matrix import FEATURES
from lockgate.features.store_panel.recipe import STORE_PANEL
from lockgate.system.exit_codes import Session

HORIZON = 42
PLANS = {"promo", "school", "weekday", "month", "from_holiday", "kind", "distance", "promo2"}


NAMES = (*FEATURES, "offset ridge", "offset group_mean")


@pytest.fixture(scope="module")
def table():
    return small_chain.table()


def findings(recipe, table):
    return {found.feature: found for found in leakage.by_feature(recipe, table, HORIZON, seed=5)}


def test_no_feature_knows_a_sale_after_its_origin_and_each_past_one_is_as_old_as_the_horizon(table):
    found = findings(STORE_PANEL, table)
    assert tuple(found) == NAMES
    assert [name for name, finding in found.items() if finding.leaks] == []
    assert {name for name, finding in found.items() if finding.youngest is None} >= PLANS
    youngest = {name: found[name].youngest for name in ("ridge", "level_364", "mean_364", "offset ridge")}
    assert youngest == {"ridge": 0, "level_364": 0, "mean_364": 0, "offset ridge": 0}


def test_a_feature_that_peeks_is_found(table):
    """As if a rolling mean took in the row's own day."""

    def peeking(seen, cutoffs, horizon):
        later = np.nanmean(LOG.scaled(seen.history.target[:, -5:]), axis=1).astype(np.float32)
        states = STORE_PANEL.fit(seen, cutoffs, horizon)
        return {at: replace(state, history=replace(state.history, level=later)) for at, state in states.items()}

    found = findings(replace(STORE_PANEL, fit=peeking), table)
    assert [name for name, finding in found.items() if finding.leaks] == ["level_364"]


def command(folder, monkeypatch, *words):
    from lockgate.cli import lockgate

    whole = ingest.Tables(small_chain.chain().rows, small_chain.chain().stores)
    parts = split.split(small_chain.params().problem, whole.rows)
    source = ingest.source_of(Path(__file__))
    card = card_of(small_chain.params().problem, source, whole, parts)
    dataset.write(
        folder / "data/prepared", {"rows": parts.rows, "holdout": parts.holdout, "static": whole.static}, card
    )
    (folder / "params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    monkeypatch.chdir(folder)
    return CliRunner().invoke(lockgate, ["probe", *words], obj=Session())


def test_the_command_lists_every_feature(tmp_path, monkeypatch):
    ended = command(tmp_path, monkeypatch, "--json")
    assert ended.exit_code == 0
    assert [finding["feature"] for finding in json.loads(ended.stdout)] == list(NAMES)


def test_the_command_refuses_a_leak_by_name(tmp_path, monkeypatch):
    leak = (leakage.FeatureLeakage("tomorrow", 0, True),)
    monkeypatch.setattr(leakage, "by_feature", lambda *_: leak)
    ended = command(tmp_path, monkeypatch)
    assert isinstance(ended.exception, GateRefused)
    assert "tomorrow" in str(ended.exception)
