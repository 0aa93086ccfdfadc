"""How predictable a panel is: the error of simple forecasts of earlier windows, as a share of the baseline's error.

The gate holds an error far below that of the baseline for a leak (docs/decisions/plausible-scores.md). In a panel with
a steady trend or a clean season, simple arithmetic is far below it, too.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOWS = 3  # before the last one, which is the holdout
MOST_KEYS = 200
MOST_CELLS = 20_000_000  # keys x periods
SEASONS_OF_LINE, POINTS_OF_LINE = 3, 24  # POINTS without a season
LARGEST_LOG = 700.0
MOST_IMPLAUSIBLE, LEAST_IMPLAUSIBLE = 0.2, 0.02  # of the baseline's error
MARGIN = 0.15  # of the error of the best simple forecast: a trained model is seldom as far below it


def implausible_share(rows: pd.DataFrame, horizon: int, season: int, error: Callable[[Floats, Floats], float]) -> float:
    """The share of the baseline's error at which an error is implausible.

    `rows` have a key, the number of the period, and a target. `season` is 1 without one; then the baseline is the last
    value of the key. Errors are those of the windows before the last one; without one, MOST_IMPLAUSIBLE.
    """
    cells = min(rows["key"].nunique(), MOST_KEYS) * (int(rows["number"].max() - rows["number"].min()) + 1)
    if cells > MOST_CELLS:
        return MOST_IMPLAUSIBLE
    grid, found, positive = _grid(rows), {}, bool((rows["target"] > 0).all())
    for window in range(1, WINDOWS + 1):
        end = grid.shape[1] - window * horizon
        past, actual = grid[:, : end - horizon], grid[:, end - horizon : end]
        if past.shape[1] > max(horizon, 2 * season):
            forecasts = list(_forecasts(past, horizon, season, positive))
            known = np.isfinite(forecasts[0]) & np.isfinite(actual)
            if known.any():
                filled = [np.where(np.isfinite(forecast), forecast, forecasts[0])[known] for forecast in forecasts]
                found[window] = [error(actual[known], forecast) for forecast in filled]
    if not found:
        return MOST_IMPLAUSIBLE
    errors = np.nan_to_num(np.mean(list(found.values()), axis=0), nan=np.inf)
    share = errors[1:].min() / errors[0] if 0 < errors[0] < np.inf else 1.0
    return float(f"{np.clip(MARGIN * share, LEAST_IMPLAUSIBLE, MOST_IMPLAUSIBLE):.1g}")


def _grid(rows: pd.DataFrame) -> Floats:
    """The targets, keys x periods; NaN where there is none."""
    kept = rows[rows["key"].isin(rows["key"].unique()[:MOST_KEYS])]
    keys, number = pd.factorize(kept["key"])[0], kept["number"].to_numpy() - rows["number"].min()
    grid = np.full((keys.max() + 1, rows["number"].max() - rows["number"].min() + 1), np.nan)
    grid[keys, number] = kept["target"]
    return grid


def _forecasts(past: Floats, horizon: int, season: int, positive: bool) -> Iterator[Floats]:
    """The baseline, then simple forecasts, (keys, horizon) each; NaN where there is none."""
    ahead = past.shape[1] + np.arange(horizon)
    last = np.repeat(_last(past)[:, None], horizon, axis=1)
    if season == 1:
        yield from (last, last, _line(past, ahead, season))
        return
    same = past[:, past.shape[1] - season + np.arange(horizon) % season]
    level, before = _mean(past[:, -season:])[:, None], _mean(past[:, -2 * season : -season])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(before > 0, level / before, 1.0)
    yield from (same, last, same * growth, same + level - before, _line(past, ahead, season))
    if positive:
        yield np.exp(np.minimum(_line(np.log(past), ahead, season), LARGEST_LOG))


def _line(past: Floats, ahead: NDArray[np.int64], season: int) -> Floats:
    """A line through the last values of each key, with a level for each place in the season."""
    length = min(SEASONS_OF_LINE * season if season > 1 else POINTS_OF_LINE, past.shape[1])
    recent, moments = past[:, -length:], past.shape[1] - length + np.arange(length)
    found = np.full((len(past), len(ahead)), np.nan)
    for key, values in enumerate(recent):
        known = np.isfinite(values)
        if known.sum() > season + 1:
            weights = np.linalg.lstsq(_columns(moments[known], length, season), values[known], rcond=None)[0]
            found[key] = _columns(ahead, length, season) @ weights
    return found


def _columns(numbers: NDArray[np.int64], length: int, season: int) -> Floats:
    return np.column_stack([numbers / length, np.eye(season)[numbers % season]])


def _last(past: Floats) -> Floats:
    return np.asarray(pd.DataFrame(past.T).ffill().iloc[-1], dtype=np.float64)


def _mean(values: Floats) -> Floats:
    return np.asarray(pd.DataFrame(values.T).mean(), dtype=np.float64)
