"""Stages of the pipeline as commands: python -m lockgate.pipeline.STAGE, as dvc.yaml runs them."""
