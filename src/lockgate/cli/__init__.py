"""The command line: each command parses, makes one call and prints."""

import os

# Boosters read this when they are imported: threads that wait by spinning take CPU time from the threads that compute.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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
