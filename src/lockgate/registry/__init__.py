"""MLflow's tracking server and model registry, with their quirks. Nothing else imports mlflow, but what MLflow loads.

In import order: refusals (what MLflow says, in our words), runs (what is logged), files (what is stored), client.
"""

from lockgate.registry.client import Registry
from lockgate.registry.runs import Contents, Dataset, RunRead, RunRecord

__all__ = ["Contents", "Dataset", "Registry", "RunRead", "RunRecord"]
