"""Reads an external MLflow model, without MLflow and by an allow-list of files and keys. No file is run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockgate.bundle import mlmodel
from lockgate.bundle.mlmodel import BESIDE_BUNDLE, BUNDLE, MLMODEL, MODEL_FILE, TOP_KEYS, WRITTEN_BY_DOWNLOAD
from lockgate.errors import GateRefused, IntegrityBroken
from lockgate.system import safe_files, strict_yaml

HINT = (
    "register a native LightGBM, XGBoost or CatBoost model, one of scikit-learn saved by skops, one in ONNX, or a"
    " Lockgate bundle: docs/how-to/register.md"
)

BESIDE = BESIDE_BUNDLE | {WRITTEN_BY_DOWNLOAD}
KEYS = TOP_KEYS | {"metadata"}
LIGHTGBM_END = b"\nend of trees\n"
NUMBERS = {"boolean", "integer", "long", "float", "double"}
TEXT = "string"
ZIP = b"PK\x03\x04"
ONNX = b"\x08"  # the first field of a model is its version
BARE = {".skops": "sklearn", ".onnx": "onnx"}  # files without an MLmodel, by the end of the name


@dataclass(frozen=True)
class Native:
    """How a library saves its files, and how MLmodel describes them.

    `files` are the names that MLflow uses, with the first bytes of such a file. `only` are keys of the flavor with the
    values that are accepted, `keys` those with any value. Two keys name the file: of the flavor and of python_function.
    """

    files: Mapping[str, bytes]
    only: Mapping[str, set[str]]
    keys: set[str]
    data_keys: tuple[str, str] = ("data", "data")
    takes_texts: bool = False
    beside: str = ""  # end of the names of files with parts of the model


NATIVE = {
    "lightgbm": Native(
        {"model.lgb": b"tree\n"},
        {"model_class": {"lightgbm.basic.Booster"}},
        {"lgb_version", "serialization_format", "skops_trusted_types"},
    ),
    "xgboost": Native(
        {"model.ubj": b"{", "model.json": b"{"},
        {"model_class": {"xgboost.core.Booster", "xgboost.sklearn.XGBRegressor", "xgboost.sklearn.XGBClassifier"}},
        {"model_format", "xgb_version"},
    ),
    "catboost": Native(
        {"model.cb": b"CBM1"},
        {"model_type": {"CatBoost", "CatBoostRegressor", "CatBoostClassifier"}},
        {"catboost_version", "save_format"},
    ),
    "sklearn": Native(
        {"model.skops": ZIP},
        {"serialization_format": {"skops"}},
        {"skops_trusted_types", "sklearn_version"},
        ("pickled_model", "model_path"),
        takes_texts=True,
    ),
    "onnx": Native(
        {"model.onnx": ONNX},
        {},
        {"onnx_session_options", "onnx_version", "providers"},
        takes_texts=True,
        beside=".data",
    ),
}


@dataclass(frozen=True)
class BundleInModel:
    """A Lockgate bundle inside an MLflow model, as downloaded from a registry."""

    folder: Path
    digest: str


@dataclass(frozen=True)
class SavedModel:
    """The file of an external model, with its columns and metadata from MLmodel.

    `columns` are None if only the file itself may name them; `texts` are those that are texts, None if that is unknown.
    """

    library: str
    content: bytes
    columns: tuple[str, ...] | None
    texts: tuple[str, ...] | None
    metadata: Mapping[str, Any]
    run_id: str
    beside: Mapping[str, bytes] = field(default_factory=dict)  # files with parts of the model, by name


def read(folder: Path) -> BundleInModel | SavedModel:
    """The model or the bundle in the folder.

    Raises IntegrityBroken for a file or key that could run code or is not on the list (other flavors, pickles, loaders,
    code, links, hidden and extra files); GateRefused without a signature of named columns.
    """
    names = safe_files.names(folder)
    model = _parsed(folder / MLMODEL)
    library, flavor = _flavor(model, folder)
    if library is None:
        return _held_bundle(folder, names, flavor)
    native = NATIVE[library]
    file = str(flavor[native.data_keys[0]])
    parts = {name for name in names if native.beside and name.endswith(native.beside) and "/" not in name}
    _refuse_others(names, {MLMODEL, file} | BESIDE | parts, folder)
    content = safe_files.read(folder / file)
    _check_content(library, file, content)
    columns, texts = _columns(model, folder, native.takes_texts)
    metadata, run_id = model.get("metadata") or {}, str(model.get("run_id") or "")
    beside = {name: safe_files.read(folder / name) for name in sorted(parts)}
    return SavedModel(library, content, columns, texts, metadata, run_id, beside)


def read_file(path: Path) -> SavedModel:
    """The model in a file without an MLmodel. Raises IntegrityBroken if its content does not fit its name."""
    library = BARE[path.suffix]
    content = safe_files.read(path)
    [start] = NATIVE[library].files.values()
    if not content.startswith(start):
        raise IntegrityBroken(f"{path.name} is not a native file of {library}", hint=HINT)
    return SavedModel(library, content, None, None, {}, "")


def _parsed(path: Path) -> dict[str, Any]:
    try:
        model = mlmodel.read(path)
    except strict_yaml.Malformed as error:
        raise IntegrityBroken("MLmodel cannot be read", where=str(path), hint=HINT) from error
    if not isinstance(model, dict) or not isinstance(model.get("metadata") or {}, dict):
        raise IntegrityBroken("MLmodel is not a mapping", where=str(path), hint=HINT)
    _refuse_keys(model, KEYS, str(path))
    return model


def _flavor(model: Mapping[str, Any], folder: Path) -> tuple[str | None, dict[str, Any]]:
    """The library and its flavor; no library and the flavor python_function for a model that holds a bundle."""
    flavors = model.get("flavors")
    if not isinstance(flavors, dict) or not all(isinstance(flavor, dict) for flavor in flavors.values()):
        raise IntegrityBroken("MLmodel names no flavors", where=str(folder), hint=HINT)
    function = dict(flavors.get("python_function", {}))
    libraries = [name for name in flavors if name != "python_function"]
    if not libraries:
        return None, function
    if len(libraries) > 1 or libraries[0] not in NATIVE:
        raise IntegrityBroken(
            f"flavor {', '.join(map(ascii, libraries))} is not accepted", where=str(folder), hint=HINT
        )
    library, flavor = libraries[0], flavors[libraries[0]]
    _check_native(library, flavor, str(folder))
    _check_function(library, function, flavor, str(folder))
    return library, flavor


def _check_native(library: str, flavor: Mapping[str, Any], where: str) -> None:
    native = NATIVE[library]
    _refuse_keys(flavor, native.keys | {"code", native.data_keys[0], *native.only}, where)
    saved, kind = str(flavor.get(native.data_keys[0])), ", ".join(str(flavor.get(key)) for key in native.only)
    is_listed = all(str(flavor.get(key)) in accepted for key, accepted in native.only.items())
    if saved not in native.files or not is_listed or flavor.get("code") is not None:
        raise IntegrityBroken(f"a {kind!a} saved as {saved!a} is not accepted", where=where, hint=HINT)


def _check_function(library: str, function: Mapping[str, Any], flavor: Mapping[str, Any], where: str) -> None:
    of_flavor, of_function = NATIVE[library].data_keys
    _refuse_keys(function, {"code", of_function, "env", "loader_module", "predict_fn", "python_version"}, where)
    loader = function.get("loader_module", f"mlflow.{library}")
    if loader != f"mlflow.{library}" or function.get("code") is not None:
        raise IntegrityBroken(f"the model wants to be loaded by {loader!a}", where=where, hint=HINT)
    if function.get(of_function, flavor[of_flavor]) != flavor[of_flavor]:
        raise IntegrityBroken("MLmodel names two files", where=where, hint=HINT)


def _check_content(library: str, file: str, content: bytes) -> None:
    """Refuse a truncated LightGBM text: LightGBM opens it without an error and forecasts zeros."""
    if not content.startswith(NATIVE[library].files[file]):
        raise IntegrityBroken(f"{file} is not a native file of {library}", hint=HINT)
    if library == "lightgbm" and LIGHTGBM_END not in content:
        raise IntegrityBroken(f"{file} is cut off", hint="save or download it again")


def _held_bundle(folder: Path, names: list[str], function: Mapping[str, Any]) -> BundleInModel:
    """The bundle in a model that Lockgate has logged; the file with which MLflow loads it is not read."""
    try:
        path, digest = function["artifacts"]["bundle"]["path"], function["config"]["bundle_digest"]
    except (KeyError, TypeError):
        path, digest = None, None
    if path != BUNDLE or not isinstance(digest, str) or function.get("code") is not None:
        loader = function.get("loader_module")
        raise IntegrityBroken(f"the model wants to be loaded by {loader!a}", where=str(folder), hint=HINT)
    inside = {name for name in names if name.startswith(f"{BUNDLE}/")}
    _refuse_others(names, {MLMODEL, MODEL_FILE.name} | BESIDE | inside, folder)
    return BundleInModel(folder / BUNDLE, digest)


def _refuse_others(names: list[str], allowed: set[str], folder: Path) -> None:
    for name in names:
        if name not in allowed:
            raise IntegrityBroken(f"{name!a} does not belong in the model", where=str(folder), hint=HINT)


def _refuse_keys(found: Mapping[Any, Any], allowed: set[str], where: str) -> None:
    for key in found:
        if key not in allowed:
            raise IntegrityBroken(f"MLmodel has a key {key!a} that is not accepted", where=where, hint=HINT)


def _columns(
    model: Mapping[str, Any], folder: Path, takes_texts: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:  # fmt: skip
    """The names of the signature's inputs, and those that are texts; all others are numbers."""
    of_what = "numbers and texts" if takes_texts else "numbers"
    wanted = f"save it with signature=mlflow.models.infer_signature(X, y), X a frame of {of_what}"
    signature = model.get("signature")
    if not isinstance(signature, dict) or not signature.get("inputs"):
        raise GateRefused("the model has no signature", where=str(folder), hint=wanted)
    try:
        inputs = [(column.get("name"), column["type"]) for column in json.loads(signature["inputs"])]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise GateRefused("the model's signature cannot be read", where=str(folder), hint=wanted) from error
    known = NUMBERS | {TEXT} if takes_texts else NUMBERS
    strange = [f"{name!a} ({kind!a})" for name, kind in inputs if not isinstance(name, str) or kind not in known]
    if strange or not inputs:
        where = ", ".join(strange)
        raise GateRefused(f"the model's signature is not one of named {of_what}", where=where, hint=wanted)
    return tuple(name for name, _ in inputs), tuple(name for name, kind in inputs if kind == TEXT)
