"""Converts an external model into a forecaster, after a check of its inputs and outputs against what is declared.

Opens the model's file: call it in a child process, where a crash does no harm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from tempfile import NamedTemporaryFile
from typing import Any

import catboost
import numpy as np
import pandas as pd

from lockgate.bundle import panel_probe
from lockgate.bundle.external_format import PROBE_ROWS
from lockgate.errors import GateRefused, IntegrityBroken, LockgateError
from lockgate.features import external_columns
from lockgate.forecaster import external_table
from lockgate.forecaster.external import ExternalForecaster, Floats, Meaning, NativeFile
from lockgate.forecaster.external_panel import PanelRows
from lockgate.forecaster.external_rows import ExternalRows
from lockgate.forecaster.window import Window
from lockgate.models.catboost import CatboostBooster
from lockgate.models.external_model import BoosterModel
from lockgate.models.lightgbm import LightgbmBooster
from lockgate.models.xgboost import XgboostBooster
from lockgate.problem.columns import Category
from lockgate.problem.description import Problem
from lockgate.problem.target import Target
from lockgate.problem.target_values import class_texts, classes_of

SAME_NUMBERS = 1e-9
SUM_OF_PROBABILITIES = 1e-3
UNSEEN = "a text that is in no row"
CLASSES_OF_NUMBERS = (("0", "1"), ("False", "True"))  # of two classes, the second one is the positive one
DOCS = "docs/how-to/register.md"


@dataclass(frozen=True)
class Declared:
    """What is declared of a model; None for columns that its file names, and for texts that the problem knows."""

    columns: tuple[str, ...] | None
    texts: tuple[str, ...] | None
    target: Target
    classes: tuple[str, ...] = ()


def rows_of(problem: Problem, rows: pd.DataFrame, static: pd.DataFrame, window: Window | None) -> ExternalRows:
    """The rows that a model of a problem takes: the keys of the prepared tables, in the window."""
    if window is None:
        return external_table.of(problem, rows, PROBE_ROWS)
    panel = PanelRows(external_columns.columns_of(problem, rows, static), window, {})
    return replace(panel, example=panel_probe.rows(panel.request, PROBE_ROWS))


def file_of(library: str, content: bytes, beside: Mapping[str, bytes]) -> NativeFile:
    """The model's file, with the parts that are in files beside it."""
    if not beside:
        return NativeFile(library, content)
    from lockgate.models import onnx_network  # only its models have such parts

    return NativeFile(library, onnx_network.joined(content, beside))


def adopt(native: NativeFile, declared: Declared, rows: ExternalRows, target: "pd.Series[Any]") -> ExternalForecaster:
    """The forecaster; `target` holds the target of the training rows.

    Raises IntegrityBroken if its library cannot read the file; GateRefused if its columns, its classes or its outputs
    do not fit the problem, and if it gives no number for a row.
    """
    try:
        model = native.model
    except (LockgateError, MemoryError):
        raise
    except Exception as error:
        raise IntegrityBroken(f"{native.library} cannot read the model: {_first_line(error)}") from error
    columns = declared.columns or model.names
    texts = declared.texts
    if texts is None:
        texts = tuple(name for name in columns if name in rows.texts) if not isinstance(model, BoosterModel) else ()
    _check_columns(columns, texts, rows)
    _check_names(model, columns)
    classes = classes_of(rows.problem, target)
    meaning = Meaning(columns, declared.target, texts, _classes(declared, model, rows.problem, classes))
    forecaster = ExternalForecaster(native, meaning, rows, classes)
    _check_outputs(forecaster)
    return forecaster


def _check_columns(columns: tuple[str, ...], texts: tuple[str, ...], rows: ExternalRows) -> None:
    """Each column must be known before the forecast, and as the number or the text that the model takes."""
    known = dict.fromkeys((*rows.numbers, *rows.texts))
    if not columns:
        raise GateRefused(
            "the model does not name its columns", hint=f"name them in the order of the training: --columns; see {DOCS}"
        )
    if unknown := [name for name in columns if name not in known]:
        raise GateRefused(
            f"the model has columns that are not known for a forecast: {_listed(unknown)}",
            hint=f"known columns: {', '.join(known)}: {DOCS}",
        )
    if len(set(columns)) < len(columns):
        raise GateRefused("the model's signature names a column twice", hint="name each column once")
    if wrong := [name for name in texts if name not in rows.texts]:
        raise GateRefused(
            f"the model takes texts for columns with numbers: {_listed(wrong)}",
            hint="train it on the columns of data/prepared, in their types",
        )
    if wrong := [name for name in columns if name not in texts and name not in rows.numbers]:
        raise GateRefused(
            f"the model takes numbers for columns with texts: {_listed(wrong)}",
            hint="encode them in the model (scikit-learn, ONNX), or list their categories in params.yaml: then a model"
            " takes the places in that list",
        )


def _check_names(model: Any, columns: tuple[str, ...]) -> None:
    names, takes_categories = (list(model.names), False)
    if isinstance(model, BoosterModel):
        names, takes_categories = INPUTS[type(model.booster)](model.booster)
    wanted = list(columns)
    if names and (len(names) != len(wanted) or (names != wanted and not _are_placeholders(names))):
        raise GateRefused(
            f"the model was trained on {len(names)} columns ({_listed(names)}), its signature names {len(wanted)}"
            f" columns ({_listed(wanted)})",
            hint="save it with the signature of its training columns, in their order",
        )
    if takes_categories:
        raise GateRefused(
            "the model has categories, and their codes are known only to its training",
            hint=f"train it on numbers: {DOCS}",
        )


def _classes(declared: Declared, model: Any, problem: Problem, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The classes of the model's outputs, in their order; they must be those of the problem."""
    if not wanted:
        if model.classes and not isinstance(model, BoosterModel):
            raise GateRefused(
                f"the model forecasts the classes {_listed(class_list(model.classes))}; {problem.target} is a number",
                hint="register a regressor",
            )
        return ()
    found = declared.classes or class_list(model.classes)
    if len(wanted) == 2 and found in CLASSES_OF_NUMBERS and set(found) != set(wanted):
        return wanted
    if not found:
        if problem.task == "binary":
            return ()
        raise GateRefused(
            "the model does not name its classes", hint=f"name them in the order of its outputs: --classes; see {DOCS}"
        )
    if set(found) != set(wanted) or len(set(found)) < len(found):
        raise GateRefused(
            f"the model has the classes {_listed(found)}, and {problem.target} has {_listed(wanted)}",
            hint="train it on the classes of data/prepared, or name them in the order of its outputs: --classes",
        )
    return found


def class_list(classes: Sequence[Any]) -> tuple[str, ...]:
    """Classes of a library as texts, as the description names them."""
    return tuple(class_texts(pd.Series(list(classes)))) if classes else ()


def _check_outputs(forecaster: ExternalForecaster) -> None:
    """Check that there is one finite forecast for each row of the example, equal to that of the library itself."""
    rows, problem = forecaster.rows, forecaster.problem
    example = pd.DataFrame(rows.probe(PROBE_ROWS))
    for asked in (example, *_unusual(problem, example)):
        _check_rows(forecaster, asked)


def _check_rows(forecaster: ExternalForecaster, asked: pd.DataFrame) -> None:
    meaning = forecaster.meaning
    values = forecaster.rows.values(asked, meaning.columns, meaning.texts).values
    try:
        raw = forecaster.raw(values)
    except LockgateError:
        raise
    except Exception as error:
        raise GateRefused(
            f"the model does not forecast rows that the problem allows: {_first_line(error)}",
            hint="it must take missing values and unseen texts where the description allows them: an imputer, and an"
            " encoder with handle_unknown",
        ) from error
    _check_shape(forecaster, raw, len(values))
    bad = int((~np.isfinite(meaning.forecast(raw, forecaster.classes))).sum())
    if bad:
        raise GateRefused(
            f"the model gives no number for {bad} of {len(values)} rows",
            hint="declare the scale of its output with --target, or take care of missing values in the model",
        )
    booster = getattr(forecaster.native.model, "booster", None)
    if isinstance(booster, CatboostBooster):
        _check_no_link(forecaster.native, values.to_numpy(), raw)


def _check_shape(forecaster: ExternalForecaster, raw: Floats, rows: int) -> None:
    """One output for each row; or one for each class, which are probabilities if nothing else is declared."""
    classes, meaning = forecaster.classes, forecaster.meaning
    allowed: list[tuple[int, ...]] = [(rows,)] if len(classes) < 3 else []
    if classes and meaning.classes:
        allowed.append((rows, len(classes)))
    if raw.shape not in allowed:
        wanted = f"one of {len(classes)} probabilities" if len(classes) > 2 else "one"
        hint = "register a classifier of the target's classes" if classes else "register a regressor of the target"
        unnamed = raw.shape == (rows, len(classes)) and not meaning.classes
        raise GateRefused(
            f"the model gives {raw.shape[1:]} outputs for each row instead of {wanted}",
            hint=f"name the classes in the order of the outputs: --classes; see {DOCS}" if unnamed else hint,
        )
    outside = ((raw < 0) | (raw > 1)).any() if classes and meaning.target == "probability" else False
    sums = raw.sum(axis=1) if raw.ndim == 2 and meaning.target == "probability" else np.ones(1)
    if outside or (abs(sums - 1) > SUM_OF_PROBABILITIES).any():
        raise GateRefused(
            "the model's outputs are no probabilities",
            hint="declare log odds with --target logit, or register a classifier",
        )


def _unusual(problem: Problem, example: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows with an unseen text, where any text is allowed, and rows without values, where they may be missing."""
    texts = {
        column.name: UNSEEN
        for column in problem.request
        if isinstance(column.kind, Category) and not column.kind.values and column.name not in problem.keys
    }
    missing = {column.name: None for column in problem.request if column.missing}
    first = example.head(1)
    return [first.assign(**changed) for changed in (texts, missing) if changed]


def _check_no_link(native: NativeFile, values: Floats, raw: Floats) -> None:
    """Refuse Poisson and Tweedie losses of CatBoost: they learn logs, and only its regressor converts them back."""
    model = catboost.CatBoost()
    with NamedTemporaryFile(prefix="lockgate-", suffix=".cbm") as file:
        file.write(native.content)
        file.flush()
        model.load_model(file.name)
        if len(model.classes_):
            return
        regressor = catboost.CatBoostRegressor()
        regressor.load_model(file.name)
    if not np.allclose(regressor.predict(values), raw, rtol=SAME_NUMBERS):
        raise GateRefused(
            "the model's raw output is not its forecast", hint="train it with the loss RMSE, on the target or its log"
        )


def _inputs_of_lightgbm(booster: Any) -> tuple[list[str], bool]:
    return booster.model.feature_name(), bool(booster.model.pandas_categorical)


def _inputs_of_xgboost(booster: Any) -> tuple[list[str], bool]:
    model = booster.model
    names = model.feature_names or [f"f{place}" for place in range(model.num_features())]
    if model.attr("best_iteration") is not None and int(model.attr("best_iteration")) + 1 < model.num_boosted_rounds():
        raise GateRefused(
            "the model has rounds after its best round, which XGBoost's regressor ignores but its booster uses",
            hint="save booster[: best_iteration + 1]",
        )
    return names, "c" in (model.feature_types or [])


def _inputs_of_catboost(booster: Any) -> tuple[list[str], bool]:
    model = booster.model
    special = (model.get_cat_feature_indices(), model.get_text_feature_indices(), model.get_embedding_feature_indices())
    return model.feature_names_, any(special)


INPUTS: dict[type, Callable[[Any], tuple[list[str], bool]]] = {
    LightgbmBooster: _inputs_of_lightgbm,
    XgboostBooster: _inputs_of_xgboost,
    CatboostBooster: _inputs_of_catboost,
}


def _are_placeholders(names: list[str]) -> bool:
    """Whether the names are placeholders of the library, because the training gave no names."""
    return any(names == [f"{prefix}{place}" for place in range(len(names))] for prefix in ("Column_", "f", ""))


def _listed(names: Sequence[str]) -> str:
    return ascii(", ".join(names[:20]))[1:-1]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
