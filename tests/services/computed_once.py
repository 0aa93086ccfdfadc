"""Results of slow pure functions, kept for the session: the same files give the same forecasts and pictures."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import FORECAST_LIMITS, Failure, Forecasts, Request
from lockgate.reports import holdout_plot, plots
from lockgate.reports.holdout_plot import Scored
from lockgate.system import sandbox
from lockgate.system.sandbox import Limits

Forecast = Callable[[Request, pd.DataFrame, Limits], Forecasts | Failure]
Draw = Callable[..., Path]
forecasts: dict[str, Forecasts] = {}
pictures: dict[str, bytes] = {}


@contextmanager
def in_force() -> Iterator[None]:
    """Within the block, nothing is computed again of which the session has the result."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sandboxed, "forecast", _forecast_once(sandboxed.forecast))
        for name in ("learning_curves", "importances"):
            patched.setattr(plots, name, _drawn_once(getattr(plots, name)))
        patched.setattr(holdout_plot, "draw", _drawn_once(holdout_plot.draw))
        yield


def _forecast_once(forecast: Forecast) -> Forecast:
    """The function, which runs its sandbox only for other bytes, rows, code or limits. A failure is not kept."""

    def kept(request: Request, rows: pd.DataFrame, limits: Limits = FORECAST_LIMITS) -> Forecasts | Failure:
        folders = [_digest(Path(folder)) for folder in (request.bundle, request.prepared) if folder]
        key = repr((folders, request.digest, request.alone, rows.to_csv(), limits, sandbox.PACKAGE_FOLDER))
        if key not in forecasts:
            found = forecast(request, rows, limits)
            if isinstance(found, Failure):
                return found
            forecasts[key] = found
        return forecasts[key]

    return kept


def _drawn_once(draw: Draw) -> Draw:
    """The function, which draws only for other values."""

    def kept(drawn: pd.DataFrame | Scored, path: Path) -> Path:
        values = drawn.to_csv() if isinstance(drawn, pd.DataFrame) else _values(drawn)
        key = repr((draw.__name__, values))
        if key not in pictures:
            pictures[key] = draw(drawn, path).read_bytes()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[key])
        return path

    return kept


def _values(scored: Scored) -> tuple[object, ...]:
    frames = (scored.rows.to_csv(), scored.before.to_csv())
    return scored.problem, scored.metric, frames, scored.actual.tolist(), scored.forecast.tolist()


def _digest(folder: Path) -> str:
    """The digest of all files below a folder."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()
