"""The file that every registered version holds and that MLflow runs to load the version ("models from code").

Registered versions keep their copy of this file: the names that it imports must not change.
"""

from mlflow.models import set_model

from lockgate.registry.served_model import BundledForecaster

set_model(BundledForecaster())
