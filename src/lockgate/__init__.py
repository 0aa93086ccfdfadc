"""Lockgate: brings each new version of a forecasting model to Production one gate at a time."""

__version__ = "0.1.0"
