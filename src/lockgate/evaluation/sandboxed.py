"""The first time that a registered bundle is opened: in a child process, on rows that do not tell what was sold.

`hold` is the parent's side. The child is `python -m lockgate.evaluation.sandboxed`; rows go in as parquet,
forecasts come back as plain arrays, all by way of a private folder.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.bundle import store
from lockgate.data import dataset
from lockgate.errors import BundleUnreadable, IntegrityBroken
from lockgate.evaluation import leakage
from lockgate.evaluation.leakage import LeakageReport
from lockgate.forecaster.ensemble import RIDGE, Forecaster
from lockgate.forecaster.interface import Answering
from lockgate.system import sandbox
from lockgate.system.sandbox import Limits

Floats = NDArray[np.float64]
Json = dict[str, Any]

# 47,000 rows by a small blend take 0.3 s of CPU time and map 1.4 GiB. Far from that, a busy machine changes nothing.
LIMITS = Limits(wall_seconds=300, cpu_seconds=600, memory_bytes=4 << 30, file_bytes=1 << 30)
LONGEST_REASON = 300
ROWS, REQUEST, ANSWER, FORECASTS = "rows.parquet", "request.json", "answer.json", "forecasts.npz"


@dataclass(frozen=True)
class Request:
    """Which bundle to open, which rows to forecast alone as well, and the prepared tables to look for leaks with."""

    bundle: str
    digest: str
    alone: Sequence[int] = ()
    prepared: str | None = None  # None: nobody looks


@dataclass(frozen=True)
class Forecasts:
    """What a bundle forecasts of all rows in one batch, and of some alone.

    `covered` marks the rows that it takes: their days may be too late for it, or some that it has learned from. The
    others are NaN. `ridge` is what its ridge alone says of them, None if there is none in it. `hindsight` is what was
    found of leaks; None if nobody looked, or there is nothing to hold it against. `needs_sales` is False of one that is
    given no sales of the past at all.
    """

    together: Floats
    alone: Floats
    covered: NDArray[np.bool_]
    origin: date | None
    ridge: Floats | None
    hindsight: LeakageReport | None = None
    needs_sales: bool = True


@dataclass(frozen=True)
class Failure:
    """Why there are no forecasts to judge, as the end of a sentence about the version."""

    says: str


@dataclass(frozen=True)
class Answer:
    """What the child says beside its arrays; `broken` is a failed integrity check."""

    origin: str | None = None
    hindsight: Json | None = None
    needs_sales: bool = True
    failure: str | None = None
    broken: tuple[str, str, str] | None = None


def hold(request: Request, rows: pd.DataFrame, limits: Limits) -> Forecasts | Failure:
    """Have a child open the bundle and forecast the rows; however the child ends, this process goes on.

    Raises IntegrityBroken if the bundle is not the one with that digest, or forecasts other numbers than on the day
    on which it was made.
    """
    with tempfile.TemporaryDirectory(prefix="lockgate-trial-") as name:
        folder = Path(name)
        rows.to_parquet(folder / ROWS, index=False)
        (folder / REQUEST).write_text(json.dumps([asdict(request), asdict(limits)]), encoding="utf-8")
        ended = sandbox.run(__name__, folder, limits)
        return Failure(ended) if ended else _read(folder, request, len(rows))


def opens(folder: Path, digest: str) -> Failure | None:
    """Have a child open the bundle, and no more than that; None if it lives. Raises as `hold` does."""
    found = hold(Request(str(folder), digest), pd.DataFrame(), LIMITS)
    return found if isinstance(found, Failure) else None


def _read(folder: Path, request: Request, rows: int) -> Forecasts | Failure:
    answer = Answer(**json.loads((folder / ANSWER).read_text(encoding="utf-8")))
    if answer.broken:
        message, where, hint = answer.broken
        raise IntegrityBroken(message, where=where, hint=hint)
    if answer.failure:
        return Failure(answer.failure)
    with np.load(folder / FORECASTS, allow_pickle=False) as arrays:
        together, alone, covered = (arrays[name] for name in ("together", "alone", "covered"))
        ridge = arrays.get("ridge")
    if not covered.shape == together.shape == (rows,) or alone.shape != (len(request.alone),):
        return Failure(f"it gave {together.shape} forecasts for {rows} rows")
    if ridge is not None and ridge.shape != (rows,):
        return Failure(f"its ridge gave {ridge.shape} forecasts for {rows} rows")
    origin = date.fromisoformat(answer.origin) if answer.origin else None
    hindsight = LeakageReport.of(answer.hindsight) if answer.hindsight else None
    return Forecasts(together, alone, covered, origin, ridge, hindsight, answer.needs_sales)


def main(folder: Path) -> None:
    """The child: forecast what is asked for, or say why not."""
    asked, limits = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    rows = pd.read_parquet(folder / ROWS)
    sandbox.enter(Limits(**limits))
    answer = _answer(Request(**asked), rows, folder / FORECASTS)
    (folder / ANSWER).write_text(json.dumps(asdict(answer)), encoding="utf-8")


def _answer(request: Request, rows: pd.DataFrame, target: Path) -> Answer:
    try:
        found = _forecasts(request, rows)
        ridge = {} if found.ridge is None else {"ridge": found.ridge}
        np.savez(target, together=found.together, alone=found.alone, covered=found.covered, allow_pickle=False, **ridge)
        origin = found.origin.isoformat() if found.origin else None
        return Answer(origin, asdict(found.hindsight) if found.hindsight else None, found.needs_sales)
    except MemoryError:
        return Answer(failure="it needs more memory than it may have")
    except BundleUnreadable as error:
        return Answer(failure=_readable(str(error.message)))
    except IntegrityBroken as error:
        return Answer(broken=(error.message, error.where, error.hint))
    except Exception as error:  # noqa: BLE001 - whatever a candidate does is said of it, and ends no pipeline
        return Answer(failure=_readable(f"it raised {type(error).__name__}: {error}"))


def _forecasts(request: Request, rows: pd.DataFrame) -> Forecasts:
    forecaster = store.load(Path(request.bundle), request.digest)
    covered = np.ones(len(rows), dtype=np.bool_)
    if rows.empty:
        return Forecasts(np.empty(0), np.empty(0), covered, forecaster.origin, None)
    covered[[problem.row for problem in forecaster.problems(rows)]] = False
    together = np.full(len(rows), np.nan)
    if covered.any():
        together[covered] = forecaster.predict(rows[covered])
    alone = [forecaster.predict(rows.iloc[[place]])[0] if covered[place] else np.nan for place in request.alone]
    return Forecasts(
        together,
        np.array(alone, dtype=np.float64),
        covered,
        forecaster.origin,
        _ridge(forecaster, rows, covered),
        _hindsight(forecaster, request.prepared),
        needs_sales=isinstance(forecaster, Forecaster),
    )


def _hindsight(forecaster: Answering, folder: str | None) -> LeakageReport | None:
    if folder is None or not isinstance(forecaster, Forecaster):
        return None
    return leakage.check(forecaster, dataset.read(Path(folder), "rows"))


def _ridge(forecaster: Answering, rows: pd.DataFrame, covered: NDArray[np.bool_]) -> Floats | None:
    if not isinstance(forecaster, Forecaster):
        return None
    found = np.full(len(rows), np.nan)
    if covered.any():
        found[covered] = forecaster.predict_members(rows[covered])[:, forecaster.members.index(RIDGE)]
    return found


def _readable(reason: str) -> str:
    """One line that a page and a terminal can show, whatever a library has put into its message."""
    line = "".join(sign if sign.isprintable() else " " for sign in reason.partition("\n")[0])
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."


if __name__ == "__main__":
    main(Path.cwd())
