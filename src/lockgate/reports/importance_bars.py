"""The bars of feature importances, in the plots of a run and on the page of a comparison."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

GROUP_HEIGHT = 0.8  # of a feature's bars together; the distance of two features is 1
NAME_LENGTH = 32


def draw(axes: Axes, shares: pd.DataFrame, most: int) -> None:
    """Draw the `most` features with the largest share in any column, the largest at the top.

    `shares` has a row for each feature and a column for each model, with the feature's share of the model's gain.
    """
    top = shares.loc[shares.max(axis=1).nlargest(most).index[::-1]]
    places = np.arange(len(top))
    height = GROUP_HEIGHT / len(top.columns)
    for column, (model, share) in enumerate(top.items()):
        above = GROUP_HEIGHT / 2 - height * (column + 0.5)
        axes.barh(places + above, share, height=0.95 * height, label=str(model))
    axes.set_yticks(places, [str(feature)[:NAME_LENGTH] for feature in top.index], parse_math=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
