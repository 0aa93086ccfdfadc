"""The stages of dvc.yaml, one module each: `python -m lockgate.pipeline.prepare` works in any problem's folder."""
