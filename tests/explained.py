"""The law that every explanation owes, for tests over all forecasters."""

import numpy as np
import pandas as pd

from lockgate.forecaster import explain
from lockgate.forecaster.explanation import ROUNDING, Explanation
from lockgate.forecaster.interface import ForecasterProtocol

MOST_ROUNDING = 1e-5  # XGBoost computes in single precision


def explained(forecaster: ForecasterProtocol, rows: pd.DataFrame, places: np.ndarray) -> Explanation:
    """The explanation of some rows, after a check that it adds up to the very forecasts of `predict`."""
    found, forecast = explain.explain(forecaster, rows, places), forecaster.predict(rows)[places]
    forecast = forecast.max(axis=1) if forecast.ndim == 2 else forecast
    np.testing.assert_array_equal(found.forecast, forecast)
    total = found.base + found.contributions.sum(axis=1) + sum(found.parts.values())
    np.testing.assert_allclose(total, forecast, rtol=1e-9, atol=1e-12)
    size = np.abs(found.contributions).sum(axis=1) + np.abs(found.base) + np.abs(forecast)
    assert (np.abs(found.parts[ROUNDING]) <= MOST_ROUNDING * size).all()
    by_origin = found.by_origin()
    np.testing.assert_allclose(by_origin.contributions.sum(axis=1), found.contributions.sum(axis=1), atol=1e-9)
    assert len(found.names) == len(set(found.names)) == len(found.origins) == found.contributions.shape[1]
    assert np.isfinite(found.contributions).all()
    return found


def assert_same(one: Explanation, other: Explanation) -> None:
    """Two explanations of the same rows are equal, bit for bit."""
    for name in ("forecast", "base", "contributions", "values"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert (one.names, one.origins, one.classes) == (other.names, other.origins, other.classes)


def take(found: Explanation, which: np.ndarray) -> Explanation:
    """Some rows of an explanation."""
    classes = tuple(found.classes[place] for place in which) if found.classes else ()
    return Explanation(
        found.forecast[which], found.base[which], found.contributions[which], found.values[which], found.names,
        found.origins, {name: part[which] for name, part in found.parts.items()}, found.scale, classes,
    )  # fmt: skip
