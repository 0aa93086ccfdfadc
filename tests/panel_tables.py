"""Small generated panels, one of each period: negative targets, keys that open late or close, gaps, one key, no key."""

from functools import cache

import numpy as np
import pandas as pd

from lockgate.features.recipe import Table
from lockgate.problem.description import Problem

HORIZONS = {"hour": 24, "day": 14, "week": 6, "month": 6, "integer": 4}
LENGTHS = {"hour": 24 * 40, "day": 220, "week": 130, "month": 60, "integer": 80}
KEYS = {"hour": (), "day": ("shop",), "week": ("store", "dept"), "month": ("segment",), "integer": ("unit",)}
TABLES = tuple(HORIZONS)


def problem(name: str, **changes: object) -> Problem:
    """The description of the panel of a period."""
    keys = {key: {"type": "category" if key in ("shop", "segment") else "integer"} for key in KEYS[name]}
    static = {"kind": {"type": "category", "file": "shops.csv"}} if name == "day" else {}
    return Problem.model_validate(
        {
            "name": f"by_{name}",
            "sources": [{"file": "rows.csv"}, *([{"file": "shops.csv", "key": "shop"}] if name == "day" else [])],
            "target": "y",
            "keys": list(keys),
            "time": {"column": "time", "period": name},
            "horizon": HORIZONS[name],
            "known_covariates": ["price", "event"],
            "static_features": list(static),
            "columns": {
                **keys,
                "time": {"type": "integer" if name == "integer" else "date"},
                "y": {"type": "number"},
                "price": {"type": "number", "missing": "unknown"},
                "event": {"type": "flag"},
                **static,
            },
            "metric": "wape",
            **changes,
        }
    )


def _keys(name: str) -> list[dict[str, object]]:
    return {
        "hour": [{}],
        "day": [{"shop": shop} for shop in ("a", "b", "c", "d")],
        "week": [{"store": store, "dept": dept} for store in (1, 2) for dept in (1, 2, 3)],
        "month": [{"segment": segment} for segment in ("large", "small")],
        "integer": [{"unit": 1}],
    }[name]


@cache
def rows(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the panel, sorted by key and time, and its table of static features."""
    rng, count = np.random.default_rng(17), LENGTHS[name]
    period = problem(name).period
    first = 0 if name == "integer" else int(period.number(np.array(["2020-01-06"], dtype="datetime64[s]"))[0])
    times, season = period.start(first + np.arange(count)), (period.seasons or (10,))[0]
    parts = []
    for place, key in enumerate(_keys(name)):
        event, price = (rng.random(count) < 0.1).astype(np.int8), 10 + rng.normal(size=count)
        wave = np.sin(2 * np.pi * np.arange(count) / season)
        y = 50 * (place + 1) * (1 + 0.4 * wave + 0.3 * event - 0.05 * (price - 10) + 0.1 * rng.normal(size=count))
        y = y - 60 if name == "week" and place == 0 else y
        price[rng.random(count) < 0.05] = np.nan
        frame = pd.DataFrame({**key, "time": times, "y": y, "event": event, "price": price})
        late, gone = (count // 2 if place == 1 else 0), (count * 3 // 4 if place == 2 else count)
        parts.append(frame.iloc[late:gone][rng.random(gone - late) > 0.03])
    static = pd.DataFrame({"shop": list("abcd"), "kind": ["cafe", "bar", "cafe", None]}) if name == "day" else None
    return pd.concat(parts, ignore_index=True), pd.DataFrame() if static is None else static.astype("str")


@cache
def table(name: str) -> Table:
    """The panel laid out as keys x periods."""
    return Table.of(problem(name), *rows(name))
