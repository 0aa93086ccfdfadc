"""Numbers about a model: paired tests, the leakage check, scoring in a sandbox."""
