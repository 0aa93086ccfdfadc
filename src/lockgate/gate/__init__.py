"""The gate: evidence and a policy give a verdict."""
