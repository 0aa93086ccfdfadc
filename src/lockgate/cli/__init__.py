"""The command line: each command parses, makes one call and prints."""

# importing a file of commands adds its commands
from lockgate.cli import (
    backtest,
    backup,
    canary,
    check,
    compare,
    explain,
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
    roles,
    serve,
    services,
    status,
    sweep,
    truth,
)
from lockgate.cli.common_options import lockgate, main

__all__ = ["lockgate", "main"]
