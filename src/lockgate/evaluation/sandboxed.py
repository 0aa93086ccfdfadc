"""Opens a model for the first time in a child process, so that a crash, a hang or a lack of memory ends only the child.

The child is `python -m lockgate.evaluation.sandboxed` in a private folder. task.json holds the task's name, its input
and the limits; rows go in as parquet. result.json holds the output, a failure, or a refusal by class name; arrays come
back in arrays.npz.
"""

import json
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate import errors
from lockgate.bundle import external_conversion, store
from lockgate.bundle.external_conversion import Declared
from lockgate.bundle.snapshot import snapshot_of
from lockgate.data import dataset
from lockgate.data.data_card import Part
from lockgate.errors import BadConfiguration, BundleUnreadable, GateRefused, LockgateError
from lockgate.evaluation import leakage, table_leakage
from lockgate.evaluation.explained_rows import explained_rows
from lockgate.evaluation.leakage import LeakageReport
from lockgate.forecaster import feature_rows
from lockgate.forecaster.ensemble import Forecaster
from lockgate.forecaster.interface import ForecasterProtocol
from lockgate.forecaster.table import TableForecaster
from lockgate.forecaster.window import Window
from lockgate.problem.confidence import DEFAULT
from lockgate.problem.description import Problem
from lockgate.system import sandbox
from lockgate.system.sandbox import Limits

Floats = NDArray[np.float64]
Json = dict[str, Any]
Output = tuple[Json, dict[str, NDArray[Any]]]

# 47,000 rows by a small blend take 0.3 s of CPU time and map 1.4 GiB. The limits are far above, also for a busy
# machine.
FORECAST_LIMITS = Limits(wall_seconds=300, cpu_seconds=600, memory_bytes=4 << 30, file_bytes=1 << 30)
OPEN_LIMITS = Limits(wall_seconds=120, cpu_seconds=120, memory_bytes=4 << 30, file_bytes=2 << 30)
ROWS_OF_LIMITS, LEARNED_OF_LIMITS, MORE_MEMORY = 1_000_000, 10_000_000, 1 << 29
TASK, RESULT, ROWS, ARRAYS = "task.json", "result.json", "rows.parquet", "arrays.npz"
LONGEST_REASON = 300
MODEL = "model"  # the file of an external model in the private folder
BESIDE = "beside"  # a folder with parts of the model
PREPARED: tuple[Part, Part] = ("rows", "static")
EXAMPLE_ROWS = 5
MOST_IN_ONE_PROBABILITY = 2  # classes
PIECE = 200_000  # rows to forecast together; of states, with the rest of the last key
ROWS_AXIS = {"more_bounds": 1}  # the axis of the rows, where it is not the first
LINEAR = ("ridge", "linear")  # names of the linear member of a panel and of a table


@dataclass(frozen=True)
class BundleFacts:
    """What an opened bundle holds."""

    digest: str
    members: tuple[str, ...]
    trained_until: str
    horizon_days: int
    example: Mapping[str, list[Any]]  # example: a few raw rows that it can forecast, by column


@dataclass(frozen=True)
class Request:
    """The bundle to open, rows to forecast alone too, prepared tables for the leakage check and for
    the truth of explained rows (None: neither).

    `confidences` are those of further bounds.
    """

    bundle: str
    digest: str
    alone: Sequence[int] = ()
    prepared: str | None = None
    confidences: Sequence[float] = ()


@dataclass(frozen=True)
class Sent:
    """A request with the files of its bundle, by path, for a process that may be on another machine."""

    request: Request
    files: Mapping[str, bytes]
    limits: Limits


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of all rows in one batch, and of some rows alone.

    `covered` marks the rows that the bundle takes; others are NaN: their times may be too late, or before its cutoff.
    `bounds` are (rows, 2), with the usual confidence; NaN for unknown ones and for classes. `more_bounds` are
    (confidences, rows, 2), with those of the request. Forecasts of more than two
    classes are (rows, classes); `classes` are () for a regression. `trained_until` is the
    number of the last training period, None without time. `linear` holds the forecasts of its linear member alone, None
    without one. `leakage` is None if there was no check. `uses_target_history` is False for a model that uses no past
    targets. `explained` are a few rows of the holdout of the request's prepared tables (`explained_rows`).
    """

    together: Floats
    bounds: Floats
    alone: Floats
    covered: NDArray[np.bool_]
    trained_until: int | None
    classes: tuple[str, ...]
    linear: Floats | None
    leakage: LeakageReport | None
    uses_target_history: bool
    more_bounds: Floats
    explained: Sequence[Json] = ()
    unexplained: str = ""  # why no row is explained, if an explanation failed


@dataclass(frozen=True)
class Failure:
    """Why there are no forecasts, as the end of a sentence about the version."""

    reason: str


def forecast_limits(rows: int, learned: int = 0) -> Limits:
    """The limits of a child that forecasts this number of rows: each million beyond the first one adds to them.

    `learned` are the training rows that it checks: each ten million beyond the first ones add time. A panel's are read
    part by part, so they add no memory.
    """
    more = max(0, rows - 1) // ROWS_OF_LIMITS
    times = 1 + more + max(0, learned - 1) // LEARNED_OF_LIMITS
    base = FORECAST_LIMITS
    return Limits(
        base.wall_seconds * times, base.cpu_seconds * times, base.memory_bytes + more * MORE_MEMORY,
        base.file_bytes + more * MORE_MEMORY,
    )  # fmt: skip


class SandboxFailed(Exception):
    """The child ended without a result; the message is the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.message = reason


def forecast(request: Request, rows: pd.DataFrame, limits: Limits = FORECAST_LIMITS) -> Forecasts | Failure:
    """Open the bundle in a child and forecast the rows.

    Raises IntegrityBroken if the bundle is not the one with that digest, or no longer gives the forecasts of its probe.
    """
    with tempfile.TemporaryDirectory(prefix="lockgate-sandbox-") as name:
        rows.to_parquet(Path(name, ROWS), index=False)
        try:
            found, arrays = run("forecast", asdict(request), Path(name), limits)
        except (SandboxFailed, BundleUnreadable) as failed:
            return Failure(_one_line(failed.message))
    more = arrays.pop("more_bounds", np.empty(0))
    if wrong := _wrong_shape(arrays, len(rows), len(request.alone), len(found["classes"])):
        return Failure(wrong)
    if more.shape != (len(request.confidences), len(rows), 2):
        return Failure(f"it gave bounds of the shape {more.shape} for {len(rows)} rows")
    report = found.pop("leakage")
    return Forecasts(
        arrays["together"],
        arrays["bounds"],
        arrays["alone"],
        arrays["covered"],
        linear=arrays.get("linear"),
        trained_until=found["trained_until"],
        classes=tuple(found["classes"]),
        leakage=LeakageReport.of(report) if report else None,
        uses_target_history=found["uses_target_history"],
        more_bounds=more,
        explained=found["explained"],
        unexplained=_one_line(found["unexplained"]),
    )


def sent(request: Request, limits: Limits) -> Sent:
    """The request with the bytes of its bundle."""
    folder = Path(request.bundle)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Sent(request, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}, limits)


def forecast_sent(given: Sent, rows: pd.DataFrame) -> Forecasts | Failure:
    """As `forecast`, with the bundle's files as they came; the child compares their digest before it opens them.

    Raises BadConfiguration if the prepared tables of the request are not on this machine.
    """
    if given.request.prepared and not Path(given.request.prepared).is_dir():
        raise BadConfiguration(
            f"{socket.gethostname()} does not see {given.request.prepared}",
            hint="give the workers the project's folder under the same path (a shared file system)",
        )
    with tempfile.TemporaryDirectory(prefix="lockgate-bundle-") as name:
        for path, content in given.files.items():
            Path(name, path).parent.mkdir(parents=True, exist_ok=True)
            Path(name, path).write_bytes(content)
        return forecast(replace(given.request, bundle=name), rows, given.limits)


@dataclass(frozen=True)
class Replayed:
    """Forecasts of rows, and the rows that the bundle takes; the forecasts of the others are NaN."""

    forecast: Floats
    covered: NDArray[np.bool_]
    classes: tuple[str, ...]


def replay(request: Request, rows: pd.DataFrame, batches: Sequence[int]) -> Replayed | Failure:
    """Open the bundle in a child and forecast rows, those of one batch together. Raises as `forecast` does."""
    with tempfile.TemporaryDirectory(prefix="lockgate-sandbox-") as name:
        rows.to_parquet(Path(name, ROWS), index=False)
        given = {"bundle": request.bundle, "digest": request.digest, "batches": list(batches)}
        try:
            found, arrays = run("replay", given, Path(name), FORECAST_LIMITS)
        except (SandboxFailed, BundleUnreadable) as failed:
            return Failure(_one_line(failed.message))
    if wrong := _wrong_shape(arrays, len(rows), 0, len(found["classes"])):
        return Failure(wrong)
    return Replayed(arrays["together"], arrays["covered"], tuple(found["classes"]))


@dataclass(frozen=True)
class Computed:
    """The features of rows that a bundle computes, (rows, names), and the rows that it takes and learns from."""

    values: Floats
    covered: NDArray[np.bool_]
    names: tuple[str, ...]


def features(request: Request, rows: pd.DataFrame, batches: Sequence[int]) -> Computed | Failure:
    """Open the bundle in a child and compute the features of rows, those of one batch together.

    Raises as `forecast` does.
    """
    with tempfile.TemporaryDirectory(prefix="lockgate-sandbox-") as name:
        rows.to_parquet(Path(name, ROWS), index=False)
        given = {"bundle": request.bundle, "digest": request.digest, "batches": list(batches)}
        try:
            found, arrays = run("features", given, Path(name), FORECAST_LIMITS)
        except (SandboxFailed, BundleUnreadable) as failed:
            return Failure(_one_line(failed.message))
    values, names = arrays["values"], tuple(found["names"])
    if values.shape != (len(rows), len(names)) or arrays["covered"].shape != (len(rows),):
        return Failure(f"it gave features of the shape {values.shape} for {len(rows)} rows")
    return Computed(values.astype(np.float64), arrays["covered"], names)


def failure_to_open(bundle: Path, digest: str) -> Failure | None:
    """Open a bundle in a child; None if it can be opened. Raises IntegrityBroken as `forecast` does."""
    with tempfile.TemporaryDirectory(prefix="lockgate-sandbox-") as name:
        try:
            run("open", {"bundle": str(bundle), "digest": digest}, Path(name))
        except (SandboxFailed, BundleUnreadable) as failed:
            return Failure(_one_line(failed.message))
    return None


def open_bundle(folder: Path, digest: str) -> BundleFacts:
    """Open `folder`/bundle in a child with `folder` as its private folder.

    Raises what `store.load` raises, and GateRefused if the child ends without a result.
    """
    return _facts("open", {"bundle": str(folder / "bundle"), "digest": digest}, folder)


def make_bundle(folder: Path, described: Json) -> BundleFacts:
    """Make `folder`/bundle of the model's file `folder`/model, described as `_make` reads it.

    Raises what `external_conversion.adopt` raises, and what `open_bundle` does.
    """
    return _facts("make", described, folder)


def _facts(task: str, given: Json, folder: Path) -> BundleFacts:
    try:
        found, _ = run(task, given, folder)
    except SandboxFailed as failed:
        raise GateRefused(
            f"the model cannot be opened: {failed.message}",
            hint="is its file complete? save it again, or a smaller model",
        ) from None
    return BundleFacts(**found | {"members": tuple(found["members"])})


def run(task: str, given: Json, folder: Path, limits: Limits = OPEN_LIMITS) -> Output:
    """Run a task of TASKS in a child with this private folder, and return its output.

    Raises the LockgateError of the task, and SandboxFailed if the child ended in another way.
    """
    (folder / TASK).write_text(json.dumps([task, given, asdict(limits)]), encoding="utf-8")
    if ended := sandbox.run(__name__, folder, limits):
        raise SandboxFailed(ended)
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    if refusal := result.get("refusal"):
        raise getattr(errors, refusal.pop("kind"))(refusal.pop("message"), **refusal)
    if failure := result.get("failure"):
        raise SandboxFailed(failure)
    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        return result["found"], dict(arrays)


def main(folder: Path) -> None:
    """The child: enter the limits, do the task, write the result."""
    task, given, limits = json.loads((folder / TASK).read_text(encoding="utf-8"))
    sandbox.enter(Limits(**limits))
    try:
        found, arrays = TASKS[task](folder, given)
        np.savez(folder / ARRAYS, allow_pickle=False, **arrays)
        result: Json = {"found": found}
    except MemoryError:
        result = {"failure": "it needs more memory than it may have"}
    except LockgateError as refusal:
        fields = {name: getattr(refusal, name) for name in ("message", "where", "hint")}
        result = {"refusal": {"kind": type(refusal).__name__, **fields}}
    except Exception as error:  # noqa: BLE001 - a model may raise anything; the parent reports it
        result = {"failure": f"it raised {type(error).__name__}: {error}"}
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")


def _open(_: Path, given: Json) -> Output:
    folder = Path(given["bundle"])
    opened = store.load(folder, given["digest"])
    example = {name: values[:EXAMPLE_ROWS] for name, values in store.probe_rows(folder).items()}
    until, horizon = _end_of_training(opened)
    facts = BundleFacts(given["digest"], opened.members, until, horizon, example)
    return asdict(facts), {}


def _end_of_training(forecaster: ForecasterProtocol) -> tuple[str, int]:
    """The last training period of a panel as text, and the periods that the gate judges; "" and 0 without a horizon."""
    if (window := forecaster.window) is None:
        return "", 0
    return str(window.trained_until(forecaster.problem.period)), window.horizon


def _make(folder: Path, given: Json) -> Output:
    problem, prepared = Problem.model_validate_json(json.dumps(given["problem"])), Path(given["prepared"])
    rows, static = (dataset.read(prepared, part) for part in PREPARED)
    window = Window(**given["window"]) if given["window"] else None
    adopted = external_conversion.adopt(
        external_conversion.file_of(given["library"], (folder / MODEL).read_bytes(), _parts_beside(folder)),
        Declared(**{name: value and tuple(value) for name, value in given["declared"].items()}, target=given["target"]),
        external_conversion.rows_of(problem, rows, static, window),
        rows[problem.target],
    )
    bundle = folder / "bundle"
    return _open(folder, {"bundle": str(bundle), "digest": store.save(adopted, bundle, snapshot_of(adopted, rows))})


def _parts_beside(folder: Path) -> dict[str, bytes]:
    """The files with parts of the model, by name."""
    beside = folder / BESIDE
    return {path.name: path.read_bytes() for path in sorted(beside.iterdir())} if beside.exists() else {}


def _forecast(folder: Path, given: Json) -> Output:
    request, rows = Request(**given), pd.read_parquet(folder / ROWS)
    forecaster = store.load(Path(request.bundle), request.digest)
    one = np.full(_width(forecaster), np.nan)
    arrays = _in_pieces(forecaster, rows, request.confidences, one)
    covered = arrays["covered"]
    alone = [_alone(forecaster, rows, place) if covered[place] else one for place in request.alone]
    arrays["alone"] = np.array(alone, dtype=np.float64).reshape(len(alone), *one.shape)
    found: Json = {"classes": forecaster.classes, "leakage": None, "uses_target_history": False}
    found["trained_until"] = forecaster.window and forecaster.window.cutoff
    if isinstance(forecaster, Forecaster):
        found |= {"uses_target_history": True, "leakage": _leakage(forecaster, request.prepared)}
    if isinstance(forecaster, TableForecaster) and request.prepared:
        report = table_leakage.check(forecaster, dataset.read(Path(request.prepared), "rows"))
        uses = bool(report.features_using_history or report.leaking_features or report.history_mismatch)
        found |= {"uses_target_history": uses, "leakage": asdict(report)}
    return found | _explained(forecaster, request.prepared, np.asarray(arrays["together"], dtype=np.float64)), arrays


def _in_pieces(
    forecaster: ForecasterProtocol, rows: pd.DataFrame, confidences: Sequence[float], one: Floats
) -> dict[str, NDArray[Any]]:
    """The forecasts of all rows, from pieces of the rows: no matrix of all rows and features is in memory."""
    pieces = _pieces(forecaster.problem, rows)
    found = [_piece(forecaster, rows.iloc[places].reset_index(drop=True), confidences, one) for places in pieces]
    if len(pieces) == 1:
        return found[0]
    order = np.argsort(np.concatenate(pieces), kind="stable")
    is_sorted = bool((order == np.arange(len(order))).all())

    def whole(name: str) -> NDArray[Any]:
        axis = ROWS_AXIS.get(name, 0)
        joined = np.concatenate([each.pop(name) for each in found], axis=axis)
        return joined if is_sorted else joined.take(order, axis=axis)

    return {name: whole(name) for name in list(found[0])}


def _pieces(problem: Problem, rows: pd.DataFrame) -> list[NDArray[np.int64]]:
    """The places of the rows in pieces of about PIECE rows; of states, a piece has whole keys."""
    if len(rows) <= PIECE:
        return [np.arange(len(rows))]
    if problem.kind != "state":
        return [np.arange(start, min(start + PIECE, len(rows))) for start in range(0, len(rows), PIECE)]
    keys = rows.groupby(list(problem.keys), dropna=False).ngroup().to_numpy()
    before = np.cumsum(np.bincount(keys)) - np.bincount(keys)  # rows of the keys before each key
    piece = (before // PIECE)[keys]
    return [np.flatnonzero(piece == number) for number in np.unique(piece)]


def _piece(
    forecaster: ForecasterProtocol, rows: pd.DataFrame, confidences: Sequence[float], one: Floats
) -> dict[str, NDArray[Any]]:
    covered = np.ones(len(rows), dtype=np.bool_)
    covered[[problem.row for problem in forecaster.problems(rows)]] = False
    arrays: dict[str, NDArray[Any]] = {
        **_batch(forecaster, rows, covered, one),
        "covered": covered,
        "more_bounds": _more_bounds(forecaster, rows, covered, confidences),
    }
    members: Any = forecaster  # predict_members is of our own forecasters
    places = [place for place, name in enumerate(forecaster.members) if name in LINEAR]
    if places:
        arrays["linear"] = _where(covered, one, lambda: members.predict_members(rows[covered])[..., places[0]])
    return arrays


def _explained(forecaster: ForecasterProtocol, prepared: str | None, forecast: Floats) -> Json:
    """A few rows of the holdout, explained; none without prepared tables, or if the forecasts are of other rows.

    Explanations are for reading: if one fails, the reason is in `unexplained`, and the forecasts count as ever.
    """
    holdout = dataset.read(Path(prepared), "holdout") if prepared else pd.DataFrame()
    if len(holdout) != len(forecast) or holdout.empty:
        return {"explained": [], "unexplained": ""}
    try:
        return {"explained": explained_rows(forecaster, holdout, forecast), "unexplained": ""}
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return {"explained": [], "unexplained": f"{type(error).__name__}: {error}"}


def _replay(folder: Path, given: Json) -> Output:
    rows, batches = pd.read_parquet(folder / ROWS), np.array(given["batches"], dtype=np.int64)
    forecaster = store.load(Path(given["bundle"]), given["digest"])
    one = np.full(_width(forecaster), np.nan)
    together, covered = np.full((len(rows), *one.shape), np.nan), np.zeros(len(rows), dtype=np.bool_)
    for number in np.unique(batches):
        places = np.flatnonzero(batches == number)
        batch = rows.iloc[places].reset_index(drop=True)
        taken = _taken(forecaster, batch)
        covered[places] = taken
        together[places] = _where(taken, one, partial(forecaster.predict, batch[taken]))
    return {"classes": forecaster.classes}, {"together": together, "covered": covered}


def _features(folder: Path, given: Json) -> Output:
    rows, batches = pd.read_parquet(folder / ROWS), np.array(given["batches"], dtype=np.int64)
    forecaster = store.load(Path(given["bundle"]), given["digest"])
    if not isinstance(forecaster, Forecaster | TableForecaster):
        return {"names": ()}, {"values": np.empty((len(rows), 0)), "covered": np.zeros(len(rows), dtype=np.bool_)}
    names = feature_rows.names(forecaster)
    values, covered = np.full((len(rows), len(names)), np.nan), np.zeros(len(rows), dtype=np.bool_)
    for number in np.unique(batches):
        places = np.flatnonzero(batches == number)
        batch = rows.iloc[places].reset_index(drop=True)
        taken = _taken(forecaster, batch)
        if taken.any():
            found = feature_rows.feature_rows(forecaster, batch[taken].reset_index(drop=True))
            values[places[taken]], covered[places[taken]] = found.values, found.learned
    return {"names": names}, {"values": values, "covered": covered}


def _taken(forecaster: ForecasterProtocol, rows: pd.DataFrame) -> NDArray[np.bool_]:
    """The rows that can be forecast; of a state all rows of a key, or none."""
    refused = np.zeros(len(rows), dtype=np.bool_)
    refused[[problem.row for problem in forecaster.problems(rows)]] = True
    if forecaster.problem.kind == "state" and refused.any():
        keys = rows.groupby(list(forecaster.problem.keys), dropna=False).ngroup().to_numpy()
        refused = np.isin(keys, keys[refused])
    return ~refused


def _batch(
    forecaster: ForecasterProtocol, rows: pd.DataFrame, covered: NDArray[np.bool_], one: Floats
) -> dict[str, Floats]:
    """The forecasts of the covered rows, and their bounds."""
    together, bounds = np.full((len(rows), *one.shape), np.nan), np.full((len(rows), 2), np.nan)
    if covered.any():
        found = forecaster.interval(rows[covered], DEFAULT)
        together[covered] = found.prediction
        if not forecaster.classes:
            bounds[covered] = np.column_stack([found.lower, found.upper])
    return {"together": together, "bounds": bounds}


def _more_bounds(
    forecaster: ForecasterProtocol, rows: pd.DataFrame, covered: NDArray[np.bool_], confidences: Sequence[float]
) -> Floats:
    """The bounds of the covered rows with each confidence; NaN for classes."""
    found = np.full((len(confidences), len(rows), 2), np.nan)
    for place, confidence in enumerate(confidences if covered.any() and not forecaster.classes else ()):
        bounds = forecaster.interval(rows[covered], confidence)
        found[place, covered] = np.column_stack([bounds.lower, bounds.upper])
    return found


def _alone(forecaster: ForecasterProtocol, rows: pd.DataFrame, place: int) -> Floats:
    """The forecast of a row by itself; of a state, with all rows of its key."""
    if isinstance(forecaster, TableForecaster) and forecaster.problem.kind == "state":
        keys = list(forecaster.problem.keys)
        same = (rows[keys] == rows[keys].iloc[place]).all(axis=1).to_numpy()
        found: Floats = forecaster.predict(rows[same])[int(same[:place].sum())]
        return found
    return np.asarray(forecaster.predict(rows.iloc[[place]])[0])


def _width(forecaster: ForecasterProtocol) -> tuple[int, ...]:
    """The shape of one forecast: () for a number or a probability."""
    classes = forecaster.classes
    return (len(classes),) if len(classes) > MOST_IN_ONE_PROBABILITY else ()


def _where(covered: NDArray[np.bool_], one: Floats, forecasts: Callable[[], Floats]) -> Floats:
    found = np.full((len(covered), *one.shape), np.nan)
    if covered.any():
        found[covered] = forecasts()
    return found


def _leakage(forecaster: Forecaster, prepared: str | None) -> Json | None:
    report = leakage.check(forecaster, dataset.by_part(Path(prepared), "rows")) if prepared else None
    return asdict(report) if report else None


def _wrong_shape(arrays: Mapping[str, NDArray[Any]], rows: int, alone: int, classes: int) -> str | None:
    width = (classes,) if classes > MOST_IN_ONE_PROBABILITY else ()
    wanted = {
        "together": (rows, *width),
        "bounds": (rows, 2),
        "covered": (rows,),
        "linear": (rows, *width),
        "alone": (alone, *width),
    }
    for name, found in arrays.items():
        if found.shape != wanted[name]:
            return f"it gave {found.shape} forecasts for {wanted[name][0]} rows ({name})"
    return None


def _one_line(reason: str) -> str:
    """The message of a library as one printable line."""
    line = "".join(sign if sign.isprintable() else " " for sign in reason.partition("\n")[0])
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}..."


TASKS: dict[str, Callable[[Path, Json], Output]] = {
    "open": _open,
    "make": _make,
    "forecast": _forecast,
    "replay": _replay,
    "features": _features,
}

if __name__ == "__main__":
    main(Path.cwd())
