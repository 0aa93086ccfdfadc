"""Training: folds, rounds, weights, the final fit, backtests, importances."""
