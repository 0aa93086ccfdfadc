"""Members of the ensemble, their blend, conformal intervals, and the naive baseline."""
