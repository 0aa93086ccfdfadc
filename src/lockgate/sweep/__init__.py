"""The search of settings: trials on the inner folds, Optuna's study of them, and the gain over the present settings."""
