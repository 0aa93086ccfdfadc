"""The operating system: exit codes, time limits, sandboxed processes, safe files, progress, service URLs."""
