"""The command line: each command parses, makes one call and prints."""

from lockgate.cli import forecasts, guarding, looking, moves, researching, reviewing, services
from lockgate.cli.frame import lockgate, main

__all__ = ["forecasts", "guarding", "lockgate", "looking", "main", "moves", "researching", "reviewing", "services"]
