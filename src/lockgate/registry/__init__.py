"""MLflow's tracking server and model registry, with their quirks: the only room that imports mlflow.

It imports nothing by itself: MLflow loads `artifact_repository` while it is being imported.
"""
