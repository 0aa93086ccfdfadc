"""Lockgate: brings each new version of a forecasting model to Production one gate at a time."""

import sys

__version__ = "0.1.0"

if sys.flags.optimize > 1:  # LightGBM and XGBoost edit their docstrings while they are imported
    sys.stderr.write("error: PYTHONOPTIMIZE=2 (python -OO) removes docstrings that LightGBM and XGBoost need\n")
    sys.stderr.write("hint: unset PYTHONOPTIMIZE\n")
    raise SystemExit(8)
