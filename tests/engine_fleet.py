"""A generated fleet: engines that wear out, under one or six operating conditions, and its description."""

from typing import Any

import numpy as np
import pandas as pd

from lockgate.problem.description import Problem

# Altitude, speed and throttle of each condition, as in FD002 of NASA's C-MAPSS.
CONDITIONS = ((0, 0, 100), (10, 0.25, 100), (20, 0.7, 100), (25, 0.62, 60), (35, 0.84, 100), (42, 0.84, 100))
SETTINGS = ("altitude", "speed", "throttle")
SENSORS = tuple(f"sensor_{number}" for number in range(1, 9))
CAP = 125


def fleet(engines: int, conditions: int = 6, seed: int = 3) -> pd.DataFrame:
    """Every cycle of each engine up to its failure, with the cycles that are left; sensors follow the wear and the
    condition."""
    rng = np.random.default_rng(seed)
    levels = rng.normal(500, 200, (conditions, len(SENSORS)))
    directions = rng.normal(0, 6, len(SENSORS))
    return pd.concat([_engine(unit, levels, directions, rng) for unit in range(1, engines + 1)], ignore_index=True)


def _engine(unit: int, levels: Any, directions: Any, rng: np.random.Generator) -> pd.DataFrame:
    life = int(rng.integers(130, 300))
    cycle = np.arange(1, life + 1)
    wear = np.exp((cycle - life) / 35)
    condition = rng.integers(0, len(levels), life)
    settings = np.array(CONDITIONS, dtype=float)[condition] + rng.normal(0, (0.003, 0.0003, 0.0), (life, 3))
    sensors = levels[condition] + np.outer(wear, directions) + rng.normal(0, 1.5, (life, len(SENSORS)))
    frame = pd.DataFrame(np.column_stack([settings, sensors]).round(4), columns=[*SETTINGS, *SENSORS])
    frame.insert(0, "unit", unit)
    frame.insert(1, "cycle", cycle)
    return frame.assign(cycles_left=np.minimum(life - cycle, CAP))


def fleet_problem(*features: str | dict[str, Any], **changes: Any) -> Problem:
    """The description of the fleet."""
    numbers = {key: {"type": "number", "missing": "unknown"} for key in (*SETTINGS, *SENSORS)}
    whole = {key: {"type": "integer"} for key in ("unit", "cycle", "cycles_left")}
    described = {
        "name": "fleet",
        "sources": ({"file": "fleet.csv"},),
        "keys": "unit",
        "time": {"column": "cycle", "period": "integer"},
        "horizon": 0,
        "target": "cycles_left",
        "derived": {"of": "periods_left", "cap": CAP},
        "past_covariates": (*SETTINGS, *SENSORS),
        "columns": whole | numbers,
        "metric": "rmse",
        "features": features,
    }
    return Problem.model_validate(described | changes)
