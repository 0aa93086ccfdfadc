"""An explanation in sentences that a person can act on."""

import pytest
from rossmann import PROBLEM

from lockgate.forecaster.explanation import ROUNDING, RULE, SHIFT
from lockgate.reports import explained_words as words

NUMBER = {
    "forecast": 1500.0,
    "base": 1000.0,
    "scale": "log",
    "contributions": [
        {"of": "Promo", "value": 1, "contribution": 520.0, "factor": 1.45},
        {"of": "holidays", "contribution": -30.0, "factor": 0.976},
    ],
    "parts": [{"of": SHIFT, "contribution": 10.0, "factor": 1.008}, {"of": ROUNDING, "contribution": 1e-5}],
}
CLASS = {
    "forecast": 0.8,
    "class": "yes",
    "base": 0.5,
    "scale": "probability",
    "contributions": [{"of": "plan\u202e", "value": None, "contribution": 0.3, "log_odds": 1.386}],
    "parts": [],
}
CLOSED = {
    "forecast": 0.0,
    "base": 0.0,
    "scale": "log",
    "contributions": [],
    "parts": [{"of": RULE, "contribution": 2.0}],
}


def test_effects_are_named_with_values_units_and_percent_and_rounding_is_not():
    assert words.sentences(PROBLEM, NUMBER, 10) == [
        "1,000 is the base: the usual level of this Store",
        "Promo = 1 raises the forecast by 520 (+45 %)",
        "holidays lower the forecast by 30 (-2.4 %)",
        "level shift raises the forecast by 10 (+0.8 %)",
        "together: 1,500",
    ]


def test_the_smaller_effects_are_summed():
    assert words.sentences(PROBLEM, NUMBER, 1)[2] == "2 smaller effects together lower the forecast by 20"


def test_a_probability_names_its_class_and_a_hostile_name_is_made_visible():
    table = PROBLEM.model_copy(update={"time": None})
    assert words.sentences(table, CLASS, 10) == [
        "0.5 is the base: the mean probability in training",
        "plan\\u202e = missing raises the probability of yes by 0.3 (odds x 4)",
        "together: 0.8",
    ]


@pytest.mark.parametrize("parts", [CLOSED["parts"], []])
def test_a_row_by_rule_names_the_rule(parts):
    assert words.sentences(PROBLEM, CLOSED | {"parts": parts}, 10) == [
        "Open is not 1: the forecast is 0 by rule, without a model"
    ]
