"""`lockgate predict`: a file of raw rows in, the same rows with forecasts out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from lockgate import scoring
from lockgate.backend import Backend
from lockgate.data import tables
from lockgate.errors import StateConflict
from lockgate.forecast.experience import FEW_DAYS, SILENT_DAYS
from lockgate.forecast.forecaster import Checked
from lockgate.lifecycle import Registered, Roster, Stage
from lockgate.outfile import OutFile
from lockgate.scoring import Opened


@dataclass(frozen=True)
class Order:
    """Which file to read and which to write."""

    source: Path
    target: Path
    force: bool


@dataclass(frozen=True)
class Done:
    """What was forecast, by whom, and what the reader of the forecasts should know."""

    rows: int
    version: int
    remarks: tuple[str, ...]


def predict(backend: Backend, order: Order, chosen: Stage | int) -> Done:
    """Forecast the rows of a file with the version in a stage, or of a number.

    The target holds the source's columns and rows in their order, with `prediction` and `model_version`; it is written
    whole or not at all. Raises BadData for rows that cannot be forecast, StateConflict without such a version.
    """
    target = OutFile(order.target, order.force)
    target.check((".csv", ".parquet"), order.source)
    rows = tables.read_forecast_rows(order.source)
    with scoring.opened(backend, _chosen(backend.roster(), chosen)) as version:
        forecast = version.forecaster.predict(rows)
        said = tuple(remarks(version, version.forecaster.check(rows)))
    _write(rows.assign(prediction=forecast, model_version=version.version), target)
    return Done(len(rows), version.version, said)


def remarks(version: Opened, checked: Checked) -> Iterator[str]:
    """What the reader of a version's forecasts should know of the rows that were checked."""
    if checked.open_missing:
        yield f"{checked.open_missing} rows do not say whether the store is open; they are taken as open"
    if checked.beyond_horizon:
        days = version.forecaster.horizon_days
        yield (
            f"{checked.beyond_horizon} rows lie more than {days} days after {version.forecaster.origin}, the last day"
            f" that version {version.version} has learned from; the gate judged it on the first {days} days only"
        )

    yield from _on_pasts(checked, version.forecaster.origin)


def _on_pasts(checked: Checked, origin: date) -> Iterator[str]:
    if checked.no_past:
        yield (
            f"{checked.no_past} rows are of stores that never sold up to {origin};"
            " they are forecast as the mean of the stores of their type and assortment"
        )
    if checked.little_past:
        yield (
            f"{checked.little_past} rows are of stores with fewer than {FEW_DAYS} days of sales up to {origin};"
            " what these do not show yet is taken from the whole chain"
        )
    if checked.stale_past:
        yield (
            f"{checked.stale_past} rows are of stores without a sale in the {SILENT_DAYS} days up to {origin};"
            " they are forecast as they sold before"
        )


def _chosen(roster: Roster, chosen: Stage | int) -> Registered:
    if isinstance(chosen, int):
        return roster.find(chosen)
    found = roster.in_stage(chosen)
    if found is None:
        raise StateConflict(
            f"no version of {roster.model} is in {chosen}", hint="promote one with: lockgate promote VERSION"
        )
    return found


def _write(rows: pd.DataFrame, target: OutFile) -> None:
    with target.replacing() as partial:
        if target.path.suffix == ".csv":
            rows.to_csv(partial, index=False)
        else:
            rows.to_parquet(partial, index=False)
