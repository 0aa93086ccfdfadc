"""The recipe of any described panel: a linear model for each key, and features by declaration."""
