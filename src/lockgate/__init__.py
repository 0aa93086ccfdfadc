"""Lockgate: each new version of a table model rises to Production one gate at a time."""

from importlib.metadata import version

__version__ = version("lockgate")
