"""The command line: each command parses, makes one call and prints."""

# importing a file of commands adds its commands
from lockgate.cli import (
    backtest,
    canary,
    check,
    compare,
    forecast,
    guard,
    history,
    init,
    log,
    maintenance,
    monitor,
    predict,
    promote,
    register,
    review,
    serve,
    services,
    status,
    truth,
)
from lockgate.cli.common_options import lockgate, main

__all__ = ["lockgate", "main"]
