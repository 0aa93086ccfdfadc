"""The bundle of a plain table or of states: the description of the problem, arrays, and the file of each member."""

import datetime
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.tabular_recipes import tabular_recipe
from lockgate.forecaster.table import Blend, TableForecaster
from lockgate.models.level_conformal import LevelCalibration
from lockgate.models.level_shift import NO_SHIFT, LevelShift
from lockgate.models.members import TABLE_MEMBERS
from lockgate.models.probability_calibration import ProbabilityMap
from lockgate.problem.columns import Category, ColumnKind, Date, Decimal, Flag, Whole
from lockgate.problem.description import Problem

DESCRIPTION = "forecaster.json"
ARRAYS = "arrays.npz"
STATE = "state/"  # before the names of the recipe's arrays
INTERVAL = "interval"
PROBE_ROWS = 48


def contents(forecaster: TableForecaster) -> dict[str, bytes]:
    """The files of a bundle, by name. The same forecaster gives the same bytes."""
    blend = forecaster.blend
    description = {
        "kind": forecaster.problem.kind,
        "problem": forecaster.problem.model_dump(mode="json"),
        "classes": list(forecaster.classes),
        "features": list(forecaster.state.names),
        "members": list(blend.fitted),
        "weights": dict(blend.weights),
        "scale": blend.scale,
        "calibration": _method(forecaster.calibration),
        "probe": _probe(forecaster),
    }
    text = json.dumps(description, indent=1, sort_keys=True, allow_nan=False) + "\n"
    files = {TABLE_MEMBERS[name].file: booster.dump() for name, booster in blend.fitted.items()}
    return {DESCRIPTION: text.encode(), ARRAYS: _packed(_arrays(forecaster)), **files}


def names(description: bytes) -> set[str]:
    """The names of a bundle's files by its description; empty for a bundle of another kind."""
    try:
        found = json.loads(description or b"{}")
        if found.get("kind") not in ("table", "state"):
            return set()
        return {DESCRIPTION, ARRAYS, *(TABLE_MEMBERS[name].file for name in found["members"])}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def restore(contents: Mapping[str, bytes]) -> TableForecaster:
    """The forecaster of a bundle's files."""
    description = json.loads(contents[DESCRIPTION])
    problem = Problem.model_validate_json(json.dumps(description["problem"]))
    with np.load(io.BytesIO(contents[ARRAYS]), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    state = {name.removeprefix(STATE): array for name, array in arrays.items() if name.startswith(STATE)}
    names = description["members"]
    fitted = {name: TABLE_MEMBERS[name].restore(contents[TABLE_MEMBERS[name].file]) for name in names}
    weights = {name: description["weights"][name] for name in names}
    return TableForecaster(
        problem,
        tuple(description["classes"]),
        tabular_recipe(problem).restore(problem, state),
        Blend(fitted, weights, description["scale"], _shift(arrays)),
        _calibration(description["calibration"], arrays),
    )


def _probe(forecaster: TableForecaster) -> dict[str, Any]:
    """Generated raw rows with values of each column's type, and their forecasts; a key has one row at a time."""
    problem, known = forecaster.problem, _known_values(forecaster)
    rows = {
        column.name: [_value(column.kind, place, known.get(column.name, ("a",))) for place in range(PROBE_ROWS)]
        for column in problem.request
    }
    if problem.kind == "state":
        at = list(zip(*(rows[name] for name in (*problem.keys, problem.time_name)), strict=True))
        rows = {name: [values[at.index(found)] for found in dict.fromkeys(at)] for name, values in rows.items()}
    return {"rows": rows, "forecasts": forecaster.predict(pd.DataFrame(rows)).tolist()}


def _known_values(forecaster: TableForecaster) -> dict[str, tuple[str, ...]]:
    """Categories that the features know, by column."""
    arrays = forecaster.state.arrays()
    found = {}
    for key, source in arrays.items():
        values = arrays.get(f"{key.removesuffix('source')}values")
        if key.endswith(".source") and values is not None and str(source[1]) == "" and len(values):
            found[str(source[0])] = tuple(map(str, values))
    return found


def _value(kind: ColumnKind, place: int, known: tuple[str, ...]) -> Any:
    match kind:
        case Whole(low, high):
            return int(min(max(low, (place % 6 + 1) * 10 ** (place % 4)), high))
        case Decimal(low, high):
            return float(min(max(low, (place % 6 + 1) * 10.0 ** (place % 4)), high))
        case Flag():
            return place % 2
        case Category(values):
            texts = values or tuple(value for value in known if value) or ("a",)
            return texts[place % len(texts)]
        case Date(first, last):
            return str(min(max(first, datetime.date(2015, 1, 1)) + datetime.timedelta(days=37 * place), last))
    return "Jan,Apr"


def _method(calibration: LevelCalibration | ProbabilityMap) -> str:
    return calibration.method if isinstance(calibration, ProbabilityMap) else INTERVAL


def _arrays(forecaster: TableForecaster) -> dict[str, NDArray[Any]]:
    calibration = forecaster.calibration
    own = (
        {"numbers": calibration.numbers}
        if isinstance(calibration, ProbabilityMap)
        else {"levels": calibration.levels, "spread": calibration.spread, "quantiles": calibration.quantiles}
    )
    shift = forecaster.blend.shift
    own |= {"shift_levels": shift.levels, "shifts": shift.shifts} if len(shift.levels) else {}
    return {**{f"{STATE}{name}": array for name, array in forecaster.state.arrays().items()}, **own}


def _calibration(method: Any, arrays: Mapping[str, NDArray[Any]]) -> LevelCalibration | ProbabilityMap:
    if method == INTERVAL:
        return LevelCalibration(arrays["levels"], arrays["spread"], arrays["quantiles"])
    return ProbabilityMap(method, arrays["numbers"])


def _shift(arrays: Mapping[str, NDArray[Any]]) -> LevelShift:
    return LevelShift(arrays["shift_levels"], arrays["shifts"]) if "shifts" in arrays else NO_SHIFT


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)  # numpy dates each entry 1980-01-01
    return buffer.getvalue()
