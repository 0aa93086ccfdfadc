"""Features: a table up to a cutoff gives a history; the history and known inputs give a matrix."""
