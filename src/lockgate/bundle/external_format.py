"""The bundle of an external model: the booster in its library's own file, store attributes as arrays, and JSON."""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from lockgate.features.store_panel.store_attributes import StoreAttributes
from lockgate.forecaster.external import ExternalForecaster, Meaning, NativeFile, Window

# stored names: `foreign` is an external model, `traits` are the attributes of the stores
DESCRIPTION = "foreign.json"
ARRAYS = "traits.npz"
BOOSTER = "booster"
NAMES = {DESCRIPTION, ARRAYS, BOOSTER}

Probe = Mapping[str, Any]


def contents(forecaster: ExternalForecaster, probe: Probe) -> dict[str, bytes]:
    """The files of a bundle, by name. The same forecaster gives the same bytes."""
    description = {
        "library": forecaster.native.library,
        **asdict(forecaster.meaning),
        "window": asdict(forecaster.window),
        "probe": probe,
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **forecaster.attributes.arrays())  # numpy dates each entry 1980-01-01
    text = json.dumps(description, indent=1, sort_keys=True, allow_nan=False) + "\n"
    return {DESCRIPTION: text.encode(), ARRAYS: buffer.getvalue(), BOOSTER: forecaster.native.content}


def restore(contents: Mapping[str, bytes]) -> tuple[ExternalForecaster, dict[str, Any]]:
    """The forecaster of a bundle's files, and its probe."""
    description = json.loads(contents[DESCRIPTION])
    with np.load(io.BytesIO(contents[ARRAYS]), allow_pickle=False) as archive:
        attributes = StoreAttributes.of_arrays(archive)
    native = NativeFile(description["library"], contents[BOOSTER])
    meaning = Meaning(tuple(description["columns"]), description["target"])
    forecaster = ExternalForecaster(native, meaning, attributes, Window(**description["window"]))
    return forecaster, description["probe"]
