"""A forecaster on disk: each library's own file, arrays, JSON, and a manifest with the SHA-256 of each. No pickle.

There are three kinds: the ensemble of a panel, the forecaster of a plain table or of states (`table_format`), and an
external model (`external_format`). Each may hold a snapshot of its training rows (`snapshot`).

Only verified bytes reach a library: a damaged LightGBM file would end the process, and a flipped bit would change
forecasts without an error.
"""

import io
import json
import shutil
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate import digests
from lockgate.bundle import external_format, manifest, panel_probe, table_format
from lockgate.bundle.manifest import MANIFEST, REBUILD
from lockgate.bundle.snapshot import FILE as SNAPSHOT
from lockgate.bundle.snapshot import Snapshot, restored
from lockgate.errors import BundleUnreadable, IntegrityBroken, LockgateError, StorageFailed
from lockgate.features.recipes import recipe_of
from lockgate.features.store_panel.rossmann import DESCRIPTION as ROSSMANN
from lockgate.forecaster.ensemble import Forecaster, Member
from lockgate.forecaster.external import ExternalForecaster
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.table import TableForecaster
from lockgate.models.conformal import Calibration
from lockgate.models.members import MEMBERS
from lockgate.problem.description import Problem
from lockgate.problem.params import current_name
from lockgate.system import safe_files

DESCRIPTION = "forecaster.json"
ARRAYS = "arrays.npz"
SAMPLE = "sample of keys"  # the array of their places, if not all keys learned what all keys share
NAMES = {DESCRIPTION, ARRAYS, *(member.file for member in MEMBERS.values())}
PROBE_ROWS = 48
LARGEST_DESCRIPTION = 1 << 24
PROBE_TOLERANCE = 1e-6  # relative; a larger difference is another forecaster


def save(
    forecaster: Forecaster | TableForecaster | ExternalForecaster, folder: Path, snapshot: Snapshot | None = None
) -> str:
    """Write a bundle in place of `folder` and return its digest. The same forecaster gives the same bytes.

    `snapshot` is that of its training rows; monitoring finds no drift without it.
    """
    if isinstance(forecaster, ExternalForecaster):
        contents = external_format.contents(forecaster)
    elif isinstance(forecaster, TableForecaster):
        contents = table_format.contents(forecaster)
    else:
        contents = _contents(forecaster)
    if snapshot:
        contents = {**contents, SNAPSHOT: snapshot.as_json()}
    listed = manifest.written(contents)
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        _clear(partial)
        partial.mkdir(parents=True)
        for name, content in {**contents, MANIFEST: listed}.items():
            (partial / name).write_bytes(content)
        _clear(folder)
        partial.rename(folder)
    except OSError as error:
        raise StorageFailed(f"the bundle cannot be written: {error.strerror}", where=str(folder)) from error
    return digests.of_bytes(listed)


def load(folder: Path, expected_digest: str) -> ForecasterProtocol:
    """Open the bundle that has this digest, of any kind.

    Raises IntegrityBroken, before any library sees a byte, if the manifest is another one or if a file is missing,
    extra, linked, hidden or changed; and if the forecaster no longer gives the forecasts of the day it was made.
    BundleUnreadable is one of these: a library cannot read its file, though the bytes are right.
    """
    contents = manifest.verified(folder, expected_digest, _names(folder))
    forecaster: ForecasterProtocol
    try:
        forecaster, probe = _of_either_kind(contents)
        _check_probe(forecaster, probe)
    except (LockgateError, MemoryError):
        raise
    except Exception as error:
        raise BundleUnreadable(
            f"the bundle cannot be read by this version: {error}", where=str(folder), hint=REBUILD
        ) from error
    return forecaster


def probe_rows(folder: Path) -> dict[str, list[Any]]:
    """The raw rows of the probe of a verified bundle, by column."""
    name = external_format.DESCRIPTION if _is_external(folder) else DESCRIPTION
    rows: dict[str, list[Any]] = json.loads((folder / name).read_text(encoding="utf-8"))["probe"]["rows"]
    return rows


def snapshot(folder: Path, expected_digest: str) -> Snapshot | None:
    """The training snapshot of the bundle that has this digest; None for a bundle without one.

    Raises IntegrityBroken as `load` does.
    """
    content = manifest.verified(folder, expected_digest, _names(folder)).get(SNAPSHOT)
    return restored(content) if content else None


def classes_of(folder: Path) -> tuple[str, ...]:
    """The classes that the forecaster of a verified bundle forecasts, in their order; () for numbers."""
    external = _is_external(folder)
    name, key = (external_format.DESCRIPTION, "of_problem") if external else (DESCRIPTION, "classes")
    return tuple(json.loads((folder / name).read_text(encoding="utf-8")).get(key, ()))


def _names(folder: Path) -> Set[str]:
    """The file names of the kind of bundle in the folder; the manifest proves that no other is there."""
    return _names_of_kind(folder) | ({SNAPSHOT} if (folder / SNAPSHOT).exists() else set())


def _is_external(folder: Path) -> bool:
    return (folder / external_format.DESCRIPTION).exists()


def _names_of_kind(folder: Path) -> Set[str]:
    if _is_external(folder):
        return external_format.NAMES
    kind = safe_files.read(folder / DESCRIPTION, LARGEST_DESCRIPTION) if (folder / DESCRIPTION).exists() else b""
    return table_format.names(kind) or _names_of_panel(kind)


def _names_of_panel(description: bytes) -> Set[str]:
    """The names of a panel's files: those of the members that its description names."""
    try:
        return {DESCRIPTION, ARRAYS, *(MEMBERS[name].file for name in json.loads(description)["members"])}
    except (ValueError, KeyError, TypeError):
        return NAMES


def _of_either_kind(contents: Mapping[str, bytes]) -> tuple[Any, dict[str, Any]]:
    """The forecaster and its probe; that of a table has no cutoff, which ForecasterProtocol still asks for."""
    if external_format.DESCRIPTION in contents:
        return external_format.restore(contents)
    if table_format.names(contents[DESCRIPTION]):
        return table_format.restore(contents), json.loads(contents[DESCRIPTION])["probe"]
    return _restore(contents)


def _clear(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _contents(forecaster: Forecaster) -> dict[str, bytes]:
    boosters = {MEMBERS[name].file: member.booster.dump() for name, member in forecaster.boosters.items()}
    description = {
        "features": list(forecaster.recipe.names),
        "horizon_days": forecaster.window.horizon,
        "members": {
            name: {"offset": member.offset, "target": member.target} for name, member in forecaster.boosters.items()
        },
        "origin": forecaster.state.cutoff,
        "probe": _probe(forecaster),
        "problem": forecaster.problem.model_dump(mode="json"),
        "weights": dict(forecaster.weights),
    }
    text = json.dumps(description, indent=1, sort_keys=True, allow_nan=False) + "\n"
    return {DESCRIPTION: text.encode(), ARRAYS: _packed(_arrays(forecaster)), **boosters}


def _arrays(forecaster: Forecaster) -> dict[str, NDArray[Any]]:
    calibration, sample = forecaster.calibration, forecaster.sample
    of_sample = {} if sample is None else {SAMPLE: sample}
    return {**forecaster.state.arrays(), "spread": calibration.spread, "quantiles": calibration.quantiles, **of_sample}


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)  # numpy dates each entry 1980-01-01
    return buffer.getvalue()


def _restore(contents: Mapping[str, bytes]) -> tuple[Forecaster, dict[str, Any]]:
    description = json.loads(contents[DESCRIPTION])
    problem = _problem(description)
    recipe = recipe_of(problem)
    if description["features"] != list(recipe.names):
        raise IntegrityBroken("the bundle was made with other features than this code has", hint=REBUILD)
    with np.load(io.BytesIO(contents[ARRAYS]), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    state = recipe.restore(arrays, description["origin"], description["horizon_days"])
    boosters = {
        name: Member(
            MEMBERS[name].restore(contents[MEMBERS[name].file]),
            **(meaning | {"offset": current_name(meaning["offset"])}),
        )
        for name, meaning in sorted(description["members"].items(), key=lambda item: list(MEMBERS).index(item[0]))
    }
    calibration = Calibration(arrays["spread"], arrays["quantiles"])
    forecaster = Forecaster(problem, recipe, state, boosters, description["weights"], calibration, arrays.get(SAMPLE))
    return forecaster, description["probe"]


def _problem(description: Mapping[str, Any]) -> Problem:
    """The problem of a bundle; bundles were Rossmann's before they held a description."""
    held = description.get("problem", ROSSMANN)
    return Problem.model_validate_json(json.dumps(held))


def _probe(forecaster: Forecaster) -> dict[str, Any]:
    """Raw rows of different keys, periods and known covariates, with their forecasts."""
    rows = panel_probe.rows(forecaster.request, PROBE_ROWS)
    return {"rows": rows, "forecasts": forecaster.predict(pd.DataFrame(rows)).tolist()}


def _check_probe(forecaster: ForecasterProtocol, probe: Mapping[str, Any]) -> None:
    found, then = forecaster.predict(pd.DataFrame(probe["rows"])), np.asarray(probe["forecasts"])
    gap = float(np.max(np.abs(found - then) / np.maximum(np.abs(then), 1.0)))
    if not gap <= PROBE_TOLERANCE:
        raise IntegrityBroken(
            f"this code forecasts other numbers than when the bundle was made: {gap:.1e} apart", hint=REBUILD
        )
