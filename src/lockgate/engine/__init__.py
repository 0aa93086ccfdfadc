"""Where work runs: in this process, or on the workers of a Dask cluster."""
