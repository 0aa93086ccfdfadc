"""Health checks of everything that should agree, and the repairs that are safe."""
