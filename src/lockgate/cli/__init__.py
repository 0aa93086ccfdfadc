"""The command line: each command parses, makes one call and prints."""

from lockgate.cli import (
    bringing,
    comparing,
    forecasts,
    guarding,
    looking,
    moves,
    researching,
    reviewing,
    services,
    tending,
)
from lockgate.cli.frame import lockgate, main

__all__ = [
    "bringing",
    "comparing",
    "forecasts",
    "guarding",
    "lockgate",
    "looking",
    "main",
    "moves",
    "researching",
    "reviewing",
    "services",
    "tending",
]
