"""The record of a registered bundle for MLflow's UI, gathered from the files of the earlier stages."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from lockgate.bundle import store
from lockgate.data import dataset as data_dataset
from lockgate.data.data_card import CARD, Part, read_card
from lockgate.operations import lineage
from lockgate.operations.lineage import Lineage
from lockgate.operations.stage_files import Build
from lockgate.problem.columns import Column, Date, Decimal, Flag, Whole
from lockgate.problem.description import Problem
from lockgate.problem.params import Params
from lockgate.problem.target_values import classes_of
from lockgate.registry.run_log import Contents, Dataset, RunRecord
from lockgate.reports import plots

EXAMPLE_ROWS = 5
NO_CANDIDATES = ["member", "fold", "rmspe", "mae", "bias"]  # the columns of a table without rows


def contents(made: Build, digest: str, problem: Problem) -> Contents:
    """The bundle with an example of raw rows and the exact package versions, which MLflow stores beside it."""
    rows = data_dataset.read(made.prepared, "holdout").head(EXAMPLE_ROWS)
    classes = classes_of(problem, data_dataset.read(made.prepared, "rows")[problem.target])
    example = pd.DataFrame({column.name: _as_json(rows[column.name], column) for column in problem.request})
    return Contents(made.bundle, digest, problem, example, lineage.pinned_requirements(), classes)


def _as_json(values: "pd.Series[Any]", column: Column) -> "pd.Series[Any]":
    """The values in the types that JSON has; numbers are floats in a column that may have missing values."""
    match column.kind:
        case Date():
            times = values.dt.strftime("%Y-%m-%dT%H:%M:%S").str.removesuffix("T00:00:00")
            return times.astype(object).where(times.notna(), None)
        case Whole() | Flag():
            return values.astype("float64" if column.missing else "int64")
        case Decimal():
            return values
        case _:
            return values.astype(object).where(values.notna(), None)


def record(made: Build, params: Params) -> RunRecord:
    """The record of a training: params, metrics, learning curves, candidates, lineage, data, plots."""
    sources = _lineage(made, params)
    curves = pd.read_csv(made.build / "curves.csv")
    metrics = json.loads((made.build / "metrics.json").read_text(encoding="utf-8"))
    return RunRecord(
        params=_recorded(params),
        metrics={name: float(value) for name, value in metrics.items()},
        curves=[(f"curve.{row.member}.{row.fold}", int(row.step), float(row.score)) for row in curves.itertuples()],
        candidates=pd.read_csv(made.build / "scores.csv"),
        tags=sources.as_tags(),
        datasets=_datasets(made, sources),
        files=_files(made, curves),
    )


def brought_contents(bundle: Path, digest: str, problem: Problem, rows: Mapping[str, list[Any]]) -> Contents:
    """An imported or refitted bundle with the data that MLflow stores beside it; the raw rows give the example."""
    example = pd.DataFrame(dict(rows))
    for column in problem.request:
        if column.name not in example:
            example[column.name] = 1.0 if isinstance(column.kind, Flag) else None
    names = [column.name for column in problem.request]
    classes = store.classes_of(bundle) if problem.task == "multiclass" else ()
    return Contents(bundle, digest, problem, example[names], lineage.pinned_requirements(), classes)


def brought_record(params: Mapping[str, str], tags: Mapping[str, str]) -> RunRecord:
    """The record of an imported bundle, which has no metrics, curves, candidates or data."""
    return RunRecord(params, {}, [], pd.DataFrame(columns=NO_CANDIDATES), tags, [], [])


def refit_record(made: Build, params: Params, chosen: Mapping[str, float], tags: Mapping[str, str]) -> RunRecord:
    """The record of a refit: its settings, and rows and holdout as training data."""
    sources = _lineage(made, params)
    return RunRecord(
        params=_recorded(params),
        metrics=chosen,
        curves=[],
        candidates=pd.DataFrame(columns=NO_CANDIDATES),
        tags=sources.as_tags() | dict(tags),
        datasets=[replace(dataset, context="training") for dataset in _datasets(made, sources)],
        files=[made.prepared / CARD],
    )


def _lineage(made: Build, params: Params) -> Lineage:
    card = read_card(made.prepared)
    here = Path.cwd()
    return Lineage(
        git_commit=lineage.git_commit(here),
        git_dirty=lineage.git_dirty(here),
        dvc_lock_digest=lineage.digest_or_unknown(here / "dvc.lock"),
        rows_digest=card["rows"]["digest"],
        holdout_digest=card["holdout"]["digest"],
        seed=params.seed,
    )


def _datasets(made: Build, sources: Lineage) -> list[Dataset]:
    tables: list[tuple[Part, str, str]] = [
        ("rows", "training", sources.rows_digest),
        ("holdout", "validation", sources.holdout_digest),
    ]
    return [
        Dataset(part, context, data_dataset.read(made.prepared, part), digest, f"{made.prepared}/{part}.parquet")
        for part, context, digest in tables
    ]


def _files(made: Build, curves: pd.DataFrame) -> list[Path]:
    pictures = made.build / "plots"
    return [
        made.prepared / CARD,
        made.build / "metrics.json",
        made.build / "curves.csv",
        made.build / "importances.csv",
        made.build / "features.csv",
        plots.learning_curves(curves, pictures / "learning_curves.png"),
        plots.importances(pd.read_csv(made.build / "importances.csv"), pictures / "importances.png"),
    ]


def _recorded(params: Params) -> dict[str, str]:
    """The params of a run: all but the table of columns, which the bundle has, and what the description leaves out."""
    settings = _flat(params.model_dump(exclude={"guard", "problem"}))
    problem = params.problem.model_dump(mode="json", exclude={"columns"}, exclude_defaults=True)
    described = {
        f"problem.{key}": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in problem.items()
    }
    return {name: str(value) for name, value in (settings | described).items()}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping, with keys joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
