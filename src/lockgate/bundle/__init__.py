"""A forecaster on disk: native files, manifest, signature; external models."""
