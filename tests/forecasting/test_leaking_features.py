"""The leak probe finds what a feature knows without being told."""

import json
from pathlib import Path

import numpy as np
import pytest
import small_chain
from click.testing import CliRunner

from lockgate.data import dataset, ingest, split
from lockgate.data.data_card import card_of
from lockgate.errors import GateRefused
from lockgate.evaluation import leakage
from lockgate.features.known_inputs import store_attributes
from lockgate.features.panel import panel
from lockgate.features.store_panel import matrix
from lockgate.system.exit_codes import Session

HORIZON = 42
PLANS = {"promo", "school", "weekday", "month", "from_holiday", "kind", "distance", "promo2"}


@pytest.fixture(scope="module")
def stores():
    return store_attributes(small_chain.chain().stores)


@pytest.fixture(scope="module")
def history(stores):
    return panel(small_chain.parts().rows, stores.store_ids)


def findings(history, stores):
    return {found.feature: found for found in leakage.by_feature(history, stores, HORIZON, seed=5)}


def test_no_feature_knows_a_sale_after_its_origin_and_each_past_one_is_as_old_as_the_horizon(history, stores):
    found = findings(history, stores)
    assert tuple(found) == leakage.NAMES
    assert [name for name, finding in found.items() if finding.leaks] == []
    assert {name for name, finding in found.items() if finding.youngest is None} >= PLANS
    youngest = {name: found[name].youngest for name in ("ridge", "level_364", "mean_364", "offset ridge")}
    assert youngest == {"ridge": 0, "level_364": 0, "mean_364": 0, "offset ridge": 0}


def test_a_feature_that_peeks_is_found(history, stores, monkeypatch):
    """As if a rolling mean took in the row's own day."""
    honest = matrix.forecast_window

    def peeking(state, attributes, days):
        view = honest(state, attributes, days)
        view.state.level[:] = np.nanmean(looked_at[-1].log_sales[:, -5:], axis=1)
        return view

    looked_at, original = [], leakage._features
    monkeypatch.setattr(matrix, "forecast_window", peeking)
    monkeypatch.setattr(leakage, "_features", lambda panel, *rest: (looked_at.append(panel), original(panel, *rest))[1])
    found = findings(history, stores)
    assert [name for name, finding in found.items() if finding.leaks] == ["level_364"]


def command(folder, monkeypatch, *words):
    from lockgate.cli import lockgate

    whole = ingest.Tables(small_chain.chain().rows, small_chain.chain().stores)
    parts = split.split(whole.rows, HORIZON)
    source = ingest.source_of(Path(__file__))
    card = card_of(source, whole, parts)
    dataset.write(
        folder / "data/prepared", {"rows": parts.rows, "holdout": parts.holdout, "stores": whole.stores}, card
    )
    (folder / "params.yaml").write_text((Path(__file__).parents[2] / "params.yaml").read_text())
    monkeypatch.chdir(folder)
    return CliRunner().invoke(lockgate, ["probe", *words], obj=Session())


def test_the_command_lists_every_feature(tmp_path, monkeypatch):
    ended = command(tmp_path, monkeypatch, "--json")
    assert ended.exit_code == 0
    assert [finding["feature"] for finding in json.loads(ended.stdout)] == list(leakage.NAMES)


def test_the_command_refuses_a_leak_by_name(tmp_path, monkeypatch):
    leak = (leakage.FeatureLeakage("tomorrow", 0, True),)
    monkeypatch.setattr(leakage, "by_feature", lambda *_: leak)
    ended = command(tmp_path, monkeypatch)
    assert isinstance(ended.exception, GateRefused)
    assert "tomorrow" in str(ended.exception)
