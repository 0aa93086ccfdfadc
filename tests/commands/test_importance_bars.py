"""The bars of importances: which features are drawn, and in which order."""

import pandas as pd
from matplotlib.figure import Figure

from lockgate.reports import importance_bars

SHARES = pd.DataFrame(
    {"one": [0.1, 0.5, 0.0, 0.4], "two": [0.2, 0.1, 0.7, 0.0]}, index=["promo", "weekday", "$\\frac{1}$", "month"]
)


def drawn(shares, most):
    axes = Figure().subplots()
    importance_bars.draw(axes, shares, most)
    return axes


def test_the_features_with_the_largest_share_in_any_column_are_drawn_with_the_largest_at_the_top():
    labels = [label.get_text() for label in drawn(SHARES, 3).get_yticklabels()]
    assert labels[::-1] == ["$\\frac{1}$", "weekday", "month"]


def test_the_upper_bar_of_a_feature_is_that_of_the_first_column():
    first, second = drawn(SHARES, 1).containers
    assert (first.get_label(), second.get_label()) == ("one", "two")
    assert (first[0].get_width(), second[0].get_width()) == (0.0, 0.7)
    assert first[0].get_y() > second[0].get_y() + second[0].get_height()
