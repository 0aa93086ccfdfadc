"""The model that MLflow serves: opens a version's bundle and answers requests with forecasts or refusals."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel

from lockgate.bundle import signing, store
from lockgate.errors import BadData, LockgateError, WrongUsage
from lockgate.forecaster.answers import answers
from lockgate.forecaster.explanation_records import MOST_EXPLAINED, explained
from lockgate.problem.confidence import DEFAULT


class RequestRefused(MlflowException):
    """A refusal for MLflow's scoring server (HTTP 400), with only the message and the hint."""

    def __init__(self, refusal: LockgateError) -> None:
        self._text = f"{refusal}; {refusal.hint}" if refusal.hint else str(refusal)
        super().__init__(self._text, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        """The refusal. The scoring server sets another message with all rows of the request; the setter ignores it."""
        return self._text

    @message.setter
    def message(self, _: str) -> None:
        pass


class BundledForecaster(PythonModel):
    """Takes raw rows; returns a forecast with its bounds, or a class with its probability, for each row."""

    def load_context(self, context: Any) -> None:
        """Open the bundle.

        Raises IntegrityBroken if the bundle is not the registered one, or if LOCKGATE_TRUSTED_KEYS lists keys and none
        of them signed the bundle.
        """
        folder, digest = Path(context.artifacts["bundle"]), context.model_config["bundle_digest"]
        signing.require(folder, digest, signing.trusted_by(os.environ))
        self.forecaster = store.load(folder, digest)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The answers of `forecaster/answers.py`; `lower` and `upper` hold with params["confidence"], or are None.

        With params["explain"], each row has its `explanation`. Raises RequestRefused for rows that cannot be forecast,
        for a confidence out of range, and for explanations that cannot be made.
        """
        given = params or {}
        try:
            found = answers(self.forecaster, model_input, given.get("confidence", DEFAULT))
            if given.get("explain", False):
                found = found.assign(explanation=self._explanations(model_input))
        except (BadData, WrongUsage) as refusal:
            raise RequestRefused(refusal) from None
        return _without_nan(found)

    def _explanations(self, rows: pd.DataFrame) -> list[dict[str, Any]]:
        if len(rows) > MOST_EXPLAINED:
            raise WrongUsage(f"at most {MOST_EXPLAINED} rows of a request are explained", hint="send them in parts")
        return explained(self.forecaster, rows, np.arange(len(rows)))


def _without_nan(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Unknown bounds as None, because JSON has no NaN; other columns stay numbers, as Spark requires."""
    unknown = forecasts.columns[forecasts.isna().any()]
    return forecasts.assign(
        **{name: forecasts[name].astype(object).where(forecasts[name].notna(), None) for name in unknown}
    )
