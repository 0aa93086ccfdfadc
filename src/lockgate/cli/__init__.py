"""The command line: each command parses, makes one call and prints."""

from lockgate.cli import forecasts, looking, moves, services
from lockgate.cli.frame import lockgate, main

__all__ = ["forecasts", "lockgate", "looking", "main", "moves", "services"]
