"""Features: a recipe makes a state from a table up to a cutoff, and a matrix from the state and known inputs."""
