"""What can only be measured inside one process, printed as JSON; bench.py runs it where the pipeline has run."""

import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from lockgate.data import prepared
from lockgate.forecast import bundle, manifest, training
from lockgate.params import PARAMS_FILE, load_params

DATA, BUNDLE = Path("data/prepared"), Path("build/bundle")
PREDICTIONS = 20


def main() -> None:
    """Print CPU-seconds of each library's fits, and rows and seconds of forecasts with the loaded bundle."""
    print(json.dumps({"fits": fits(), "predict": predict()}))


def fits() -> dict[str, dict[str, float]]:
    """Train once more; CPU-seconds by library of the last fits on all rows, and of the fits on the inner folds."""
    seconds: dict[str, dict[str, float]] = {"last": {}, "folds": {}}
    for name, fit in training.BOOSTERS.items():
        training.BOOSTERS[name] = _timed(fit, name, seconds)
    rows, stores = prepared.read(DATA, "rows"), prepared.read(DATA, "stores")
    training.train(rows, stores, load_params(PARAMS_FILE), lambda *_: None)
    return seconds


def predict() -> dict[str, float]:
    """Forecast the holdout again and again with the bundle in memory."""
    forecaster = bundle.load(BUNDLE, manifest.digest(BUNDLE))
    rows = prepared.read(DATA, "holdout")
    forecaster.predict(rows)
    wall, cpu = perf_counter(), process_time()
    for _ in range(PREDICTIONS):
        forecaster.predict(rows)
    return {"rows": len(rows) * PREDICTIONS, "wall": perf_counter() - wall, "cpu": process_time() - cpu}


def _timed(fit: Callable[..., Any], name: str, seconds: dict[str, dict[str, float]]) -> Callable[..., Any]:
    def timed(settings: Any, train: Any, score: Any, budget: Any) -> Any:
        part = seconds["last" if score is None else "folds"]
        started = process_time()
        fitted = fit(settings, train, score, budget)
        part[name] = part.get(name, 0.0) + process_time() - started
        return fitted

    return timed


if __name__ == "__main__":
    main()
