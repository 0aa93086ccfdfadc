"""Converts an external booster into a forecaster, after a check of its inputs and outputs against its signature.

Opens the booster's file: call it in a child process, where a crash does no harm.
"""

from collections.abc import Callable
from tempfile import NamedTemporaryFile
from typing import Any

import catboost
import numpy as np

from lockgate.errors import GateRefused, IntegrityBroken
from lockgate.features.known_inputs import KnownInputs
from lockgate.features.store_panel.store_attributes import StoreAttributes
from lockgate.forecaster.external import ExternalForecaster, Floats, Meaning, NativeFile, Window
from lockgate.models.booster import Booster
from lockgate.models.catboost import CatboostBooster
from lockgate.models.lightgbm import LightgbmBooster
from lockgate.models.xgboost import XgboostBooster

SAME_NUMBERS = 1e-9


def adopt(native: NativeFile, meaning: Meaning, attributes: StoreAttributes, window: Window) -> ExternalForecaster:
    """The forecaster.

    Raises IntegrityBroken if its library cannot read the file; GateRefused if the columns of the booster differ from
    its signature, if it has categories, if its raw output is not its forecast, or if it gives no number for a store.
    """
    try:
        booster = native.booster
    except Exception as error:
        raise IntegrityBroken(f"{native.library} cannot read the model: {_first_line(error)}") from error
    _check_inputs(booster, meaning)
    _check_outputs(booster, ExternalForecaster(native, meaning, attributes, window))
    return ExternalForecaster(native, meaning, attributes, window)


def _check_inputs(booster: Booster, meaning: Meaning) -> None:
    names, takes_categories = INPUTS[type(booster)](booster)
    wanted = list(meaning.columns)
    if len(names) != len(wanted) or (names != wanted and not _are_placeholders(names)):
        raise GateRefused(
            f"the model was trained on {_listed(names)}, its signature names {_listed(wanted)}",
            hint="save it with the signature of its training columns, in their order",
        )
    if takes_categories:
        raise GateRefused(
            "the model has categories, and their codes are known only to its training",
            hint="train it on numbers: docs/how-to/register.md",
        )


def _check_outputs(booster: Booster, forecaster: ExternalForecaster) -> None:
    """Check that there is one finite forecast for each store, equal to that of the library itself."""
    rows = _a_row_of_each_store(forecaster)
    values = forecaster.values(rows)
    raw = booster.raw(values, 1)
    if raw.shape != (len(rows),):
        raise GateRefused(
            f"the model gives {raw.shape[1:]} outputs for each row instead of one", hint="register a regressor of sales"
        )
    bad = int((~np.isfinite(forecaster.meaning.sales(raw))).sum())
    if bad:
        raise GateRefused(
            f"the model gives no number for {bad} of {len(rows)} stores",
            hint="declare the scale of its output: --target sales, log or log1p",
        )
    if isinstance(booster, CatboostBooster):
        _check_no_link(forecaster.native, values, raw)


def _check_no_link(native: NativeFile, values: Floats, raw: Floats) -> None:
    """Refuse Poisson and Tweedie losses of CatBoost: they learn logs, and only its regressor converts them back."""
    regressor = catboost.CatBoostRegressor()
    with NamedTemporaryFile(prefix="lockgate-", suffix=".cbm") as file:
        file.write(native.content)
        file.flush()
        regressor.load_model(file.name)
    if not np.allclose(regressor.predict(values), raw, rtol=SAME_NUMBERS):
        raise GateRefused(
            "the model's raw output is not its forecast", hint="train it with the loss RMSE, on sales or their log"
        )


def _a_row_of_each_store(forecaster: ExternalForecaster) -> KnownInputs:
    count = len(forecaster.attributes.store_ids)
    plain = np.zeros(count, dtype=np.int8)
    day = forecaster.window.origin + 1 + np.arange(count) % forecaster.served_days
    covariates = {"Promo": (np.arange(count) % 2).astype(np.int8), "SchoolHoliday": plain, "StateHoliday": plain}
    return KnownInputs(np.arange(count), day, covariates)


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


def _listed(names: list[str]) -> str:
    return f"{len(names)} columns ({', '.join(names[:20])})"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
