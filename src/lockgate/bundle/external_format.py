"""The bundle of an external model: the model in its library's own file, series of a panel as arrays, and JSON."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from lockgate.features import external_columns
from lockgate.features.store_panel.rossmann import DESCRIPTION as ROSSMANN
from lockgate.forecaster.external import ExternalForecaster, Meaning, NativeFile
from lockgate.forecaster.external_panel import PanelRows
from lockgate.forecaster.external_rows import ExternalRows
from lockgate.forecaster.external_table import TableRows
from lockgate.forecaster.window import Window
from lockgate.problem.description import Problem
from lockgate.problem.target import EARLIER_NAMES

# stored names: `foreign` is an external model, `traits` are the series of a panel and what belongs to them
DESCRIPTION = "foreign.json"
ARRAYS = "traits.npz"
MODEL = "booster"
NAMES = {DESCRIPTION, ARRAYS, MODEL}
PROBE_ROWS = 48

Probe = Mapping[str, Any]


def contents(forecaster: ExternalForecaster) -> dict[str, bytes]:
    """The files of a bundle, by name. The same forecaster gives the same bytes."""
    rows = forecaster.rows.probe(PROBE_ROWS)
    description = {
        "library": forecaster.native.library,
        **asdict(forecaster.meaning),
        "of_problem": list(forecaster.classes),
        "problem": forecaster.problem.model_dump(mode="json"),
        "window": _written(forecaster.window),
        "probe": {"rows": rows, "forecasts": forecaster.predict(pd.DataFrame(rows)).tolist()},
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **forecaster.rows.arrays())  # numpy dates each entry 1980-01-01
    text = json.dumps(description, indent=1, sort_keys=True, allow_nan=False) + "\n"
    return {DESCRIPTION: text.encode(), ARRAYS: buffer.getvalue(), MODEL: forecaster.native.content}


def _written(window: Window | None) -> dict[str, int] | None:
    return None if window is None else {"origin": window.cutoff, "judged": window.judged, "served": window.last}


def restore(contents: Mapping[str, bytes]) -> tuple[ExternalForecaster, dict[str, Any]]:
    """The forecaster of a bundle's files, and its probe."""
    description = json.loads(contents[DESCRIPTION])
    native = NativeFile(description["library"], contents[MODEL])
    rows = _rows(description, contents[ARRAYS])
    classes = tuple(description.get("of_problem", ()))
    return ExternalForecaster(native, _meaning(description), rows, classes), description["probe"]


def _meaning(description: Mapping[str, Any]) -> Meaning:
    """The meaning of a bundle; earlier ones have numbers only, and other names of scales."""
    target = EARLIER_NAMES.get(description["target"], description["target"])
    texts, classes = (tuple(description.get(name, ())) for name in ("texts", "classes"))
    return Meaning(tuple(description["columns"]), target, texts, classes)


def _rows(description: Mapping[str, Any], content: bytes) -> ExternalRows:
    """The rows of a bundle; bundles were Rossmann's before they held a description."""
    problem = Problem.model_validate_json(json.dumps(description.get("problem", ROSSMANN)))
    example, window = description["probe"]["rows"], description["window"]
    if window is None:
        return TableRows(problem, example)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        columns = external_columns.restored(problem, {name: archive[name] for name in archive.files})
    return PanelRows(columns, Window(window["origin"], window["judged"], window["served"]), example)
