"""Where it is known how well a chain can be forecast, a verdict says how far above that the forecast is."""

from datetime import UTC, datetime
from math import isnan, nan

import pytest

from lockgate.data.data_card import noise_floor
from lockgate.database.verdicts import Digests, StoredVerdict
from lockgate.operations.validate import with_floor
from lockgate.reports import review_markdown
from lockgate.reports.review_data import RecordOfVersion, review_of


def verdict(metrics):
    checks = [{"name": "enough rows", "outcome": "passed", "says": "2178 rows scored"}]
    digests, at = Digests("b", "h", "p", None), datetime(2026, 11, 21, tzinfo=UTC)
    return StoredVerdict("chain", 1, digests, "passed", checks, metrics, "c", "anna", 5, at)


@pytest.mark.parametrize(
    ("card", "floor"),
    [
        ({"source": {"kind": "generator", "noise_floor_rmspe": 0.0633}}, 0.0633),
        ({"source": {"kind": "csv"}}, None),
        ({}, None),
    ],
)
def test_only_a_generated_chain_has_a_known_floor(card, floor):
    assert noise_floor(card) == floor


def test_the_metrics_say_how_far_above_the_floor_the_forecast_is():
    assert with_floor({"rmspe": 0.09, "mae": 5.0}, 0.06) == {
        "rmspe": 0.09, "mae": 5.0, "noise_floor": 0.06, "over_floor": pytest.approx(0.03)
    }  # fmt: skip


def test_without_a_floor_or_a_forecast_there_is_nothing_to_say():
    assert with_floor({"rmspe": 0.09}, None) == {"rmspe": 0.09}
    assert with_floor({}, 0.06) == {}  # no metrics is how a candidate looks that gave no forecasts
    assert isnan(with_floor({"rmspe": nan}, 0.06)["over_floor"])


def report(metrics):
    return review_markdown.report(review_of(verdict(metrics), RecordOfVersion(1, "run", {}), None))


def test_the_report_shows_it_beside_the_score():
    lines = report(with_floor({"rmspe": 0.0888}, 0.0633)).splitlines()
    assert (
        lines[lines.index("| this version | 0.08880 |  |") + 1] == "| noise floor of the generated chain | 0.06330 |  |"
    )
    assert "floor" not in report({"rmspe": 0.0888})
