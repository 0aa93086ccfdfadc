"""A forecaster on disk: native files, manifest, signature; models that were trained elsewhere."""
