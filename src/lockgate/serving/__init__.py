"""The HTTP server of `lockgate serve`: MLflow's scoring protocol, following a stage without a restart."""
