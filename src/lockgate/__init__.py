"""Lockgate: each new version of a table model rises to Production one gate at a time."""

__version__ = "0.1.0"
