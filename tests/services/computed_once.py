"""Results of slow pure functions: the same files give the same forecasts and pictures."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import made_once
import pandas as pd
import pytest

from lockgate.evaluation import sandboxed
from lockgate.evaluation.sandboxed import FORECAST_LIMITS, Failure, Forecasts, Request
from lockgate.reports import holdout_review, plots
from lockgate.reports.holdout_review import Judged
from lockgate.reports.plot import Plot
from lockgate.system import sandbox
from lockgate.system.sandbox import Limits

Forecast = Callable[[Request, pd.DataFrame, Limits], Forecasts | Failure]
Draw = Callable[..., list[Plot]]
OWN_CODE = sandbox.PACKAGE_FOLDER


@contextmanager
def in_force() -> Iterator[None]:
    """Within the block, nothing is computed again of which the result is kept."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sandboxed, "forecast", _forecast_once(sandboxed.forecast))
        patched.setattr(plots, "of_training", _drawn_once(plots.of_training))
        patched.setattr(holdout_review, "plots", _drawn_once(holdout_review.plots))
        yield


def _forecast_once(forecast: Forecast) -> Forecast:
    """The function, which runs its sandbox only for other bytes, rows, code or limits. A failure is not kept."""

    def kept(request: Request, rows: pd.DataFrame, limits: Limits = FORECAST_LIMITS) -> Forecasts | Failure:
        if sandbox.PACKAGE_FOLDER != OWN_CODE:
            return forecast(request, rows, limits)
        folders = [_digest(Path(folder)) for folder in (request.bundle, request.prepared) if folder]
        asked = (request.digest, request.alone, request.confidences)
        key = repr(("forecast", folders, asked, rows.to_csv(), limits))
        return made_once.result(
            key, lambda: forecast(request, rows, limits), lambda found: not isinstance(found, Failure)
        )

    return kept


def _drawn_once(draw: Draw) -> Draw:
    """The function, which draws only for other values."""

    def kept(*given: pd.DataFrame | Judged) -> list[Plot]:
        values = [each.to_csv() if isinstance(each, pd.DataFrame) else _values(each) for each in given]
        key = repr((draw.__name__, values))
        return made_once.result(key, lambda: draw(*given), lambda _: True)

    return kept


def _values(judged: Judged) -> tuple[object, ...]:
    scored, other = judged.scored, judged.production
    past = (scored.past.sums.to_csv(), scored.past.rows.to_csv()) if scored.past else ()
    frames = (scored.rows.to_csv(), *past, None if scored.unit is None else scored.unit.tolist())
    production = (other.version, other.forecast.tolist(), other.changes) if other else None
    forecasts = (
        scored.actual.tolist(),
        scored.forecast.tolist(),
        judged.slices,
        judged.coverage,
        production,
        judged.explained,
        judged.unexplained,
    )
    return scored.problem, scored.metric, frames, forecasts


def _digest(folder: Path) -> str:
    """The digest of all files below a folder."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()
