"""The command line: each command parses, makes one call and prints."""

from lockgate.cli import (
    backtest,
    compare,
    guard,
    history,
    maintenance,
    predict,
    promote,
    register,
    review,
    services,
    status,
)
from lockgate.cli.common_options import lockgate, main

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
