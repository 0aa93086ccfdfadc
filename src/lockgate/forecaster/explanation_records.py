"""Explanations as plain values, one record a row: as JSON has them, for words and for plots."""

from collections.abc import Iterator, Mapping
from datetime import date
from math import exp, isfinite, isnan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.forecaster import explain
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.explanation import Explanation
from lockgate.forecaster.interface import ForecasterProtocol

Record = dict[str, Any]
Values = Mapping[str, list[Any]]
MOST_EXPLAINED = 100  # rows of a request over HTTP
MIDNIGHT = "T00:00:00"


def explained(
    forecaster: ForecasterProtocol, rows: pd.DataFrame, places: NDArray[np.int64], with_features: bool = False
) -> list[Record]:
    """A record for each of the places. `base`, the contributions and the parts add up to `forecast`.

    `contributions` are named `of` the column or the words that their features are made of, the largest first; those of
    a column have its `value`. With a log, each has its `factor`, and with a probability its `log_odds`. `features`
    lists the features one by one. What adds exactly nothing is left out. Raises the errors of `explain.explain`.
    """
    found = explain.explain(forecaster, rows, places)
    given = _given(forecaster, rows.iloc[places])
    return list(_records(found, given, with_features))


def _records(found: Explanation, given: Values, with_features: bool) -> Iterator[Record]:
    by_origin = found.by_origin()
    for row in range(len(found.forecast)):
        contributions = [
            {"of": origin, **({"value": given[origin][row]} if origin in given else {}), **_effect(found, row, effect)}
            for origin, effect in zip(by_origin.names, by_origin.contributions[row].tolist(), strict=True)
            if effect
        ]
        parts = [{"of": name, **_effect(found, row, float(part[row]))} for name, part in found.parts.items()]
        yield {
            "forecast": float(found.forecast[row]),
            **({"class": found.classes[row]} if found.classes else {}),
            "base": float(found.base[row]),
            "scale": found.scale,
            "contributions": sorted(contributions, key=lambda each: -abs(each["contribution"])),
            "parts": [part for part in parts if part["contribution"]],
            **({"features": _features(found, row)} if with_features else {}),
        }


def _effect(found: Explanation, row: int, contribution: float) -> Record:
    """A contribution, with its factor or its share of the log odds."""
    share = contribution * float(found.slope[row])
    if isnan(share):
        return {"contribution": contribution}
    return {"contribution": contribution, **({"factor": exp(share)} if found.scale == "log" else {"log_odds": share})}


def _features(found: Explanation, row: int) -> list[Record]:
    features = [
        {"feature": name, "of": origin, "value": plain(value), **_effect(found, row, effect)}
        for name, origin, value, effect in zip(
            found.names, found.origins, found.values[row].tolist(), found.contributions[row].tolist(), strict=True
        )
        if effect
    ]
    return sorted(features, key=lambda each: -abs(each["contribution"]))


def _given(forecaster: ForecasterProtocol, rows: pd.DataFrame) -> Values:
    """The values of the columns of a request, and of the static features of a panel's keys."""
    found = {
        column.name: [plain(value) for value in rows[column.name].tolist()]
        for column in forecaster.problem.request
        if column.name in rows
    }
    if isinstance(forecaster, Forecaster):
        keys = forecaster.request.read(rows).known.key
        frame = forecaster.state.series.frame
        static = (name for name in frame if name not in found)
        found |= {name: [plain(value) for value in frame[name].iloc[keys].tolist()] for name in static}
    return found


def plain(value: Any) -> Any:
    """A value as JSON has it; None for a missing one."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, str | int | bool) or value is None:
        return value
    if pd.isna(value):
        return None
    return value.isoformat().removesuffix(MIDNIGHT) if isinstance(value, date) else str(value)
