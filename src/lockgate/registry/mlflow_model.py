"""The file that MLflow runs to load a registered version ("models from code"): the bundle is verified, then opened."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel

from lockgate.bundle import signing, store
from lockgate.errors import BadData, WrongUsage
from lockgate.problem.confidence import DEFAULT


class BundledForecaster(PythonModel):
    """Raw rows in, a sales forecast with its bounds a row out."""

    def load_context(self, context: Any) -> None:
        """Open the bundle; IntegrityBroken if it is not the one that was registered, or no trusted key signed it.

        Trusted are the keys in LOCKGATE_TRUSTED_KEYS; without them no signature is asked for.
        """
        folder, digest = Path(context.artifacts["bundle"]), context.model_config["bundle_digest"]
        signing.require(folder, digest, signing.trusted_by(os.environ))
        self.forecaster = store.load(folder, digest)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Forecast sales for each row, `lower` and `upper` to hold them with params["confidence"]; no bounds are None.

        Rows that cannot be forecast and a confidence out of range are refused as an invalid parameter (HTTP 400).
        """
        try:
            found = self.forecaster.interval(model_input, (params or {}).get("confidence", DEFAULT))
        except (BadData, WrongUsage) as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from None
        frame = pd.DataFrame(vars(found))
        return frame.astype(object).where(frame.notna(), None)  # JSON has no NaN


set_model(BundledForecaster())
