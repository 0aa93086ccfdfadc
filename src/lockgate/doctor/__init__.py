"""Health checks of servers, registry, ledger, guard, files and folders, and the safe repairs."""
