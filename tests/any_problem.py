"""A small trained build of a problem of each kind, as the stages leave it."""

import shutil
from pathlib import Path

import engine_fleet
import made_once
import pandas as pd
import panel_tables
import plain_tables

from lockgate.bundle import store
from lockgate.bundle.snapshot import snapshot_of
from lockgate.data import dataset, split
from lockgate.data.data_card import card_of
from lockgate.data.ingest import FileSource, Tables
from lockgate.operations.stage_files import Build
from lockgate.problem.description import Problem
from lockgate.problem.params import Params
from lockgate.training import report_files
from lockgate.training.train import train

KINDS = ("table of regression", "table of binary", "table of multiclass", "state", "panel")
SOURCES = ("any_problem.py", "engine_fleet.py", "panel_tables.py", "plain_tables.py")
LENIENT = {"min_scored_rows": 10, "min_gain_over_baseline": 0.0, "min_share_of_naive": 0.0}


def problem_of(kind: str) -> tuple[Problem, Tables]:
    if kind == "panel":
        rows, static = panel_tables.rows("month")
        return panel_tables.problem("month"), Tables(rows, static)
    if kind == "state":
        return engine_fleet.fleet_problem("last", "change"), Tables(engine_fleet.fleet(10), pd.DataFrame())
    task = kind.removeprefix("table of ")
    return plain_tables.params(task).problem, Tables(plain_tables.rows(task, 400), pd.DataFrame())


def built(kind: str, folder: Path, seed: int = 7, members: tuple[str, ...] = ()) -> tuple[Build, Params]:
    """Prepared tables and a bundle, as the stages leave them; by default of all members."""
    problem, tables = problem_of(kind)
    limit = {"regression": 1e6, "binary": 0.69, "multiclass": 1.09}[problem.task]
    given = plain_tables.params("regression")
    gate = given.gate.model_copy(update=LENIENT | {"limit": limit})
    described = problem.model_copy(update={"members": members})
    params = given.model_copy(update={"problem": described, "gate": gate, "seed": seed})
    name = f"{kind}, seed {seed}, {' '.join(members) or 'all members'}"
    kept = made_once.folder(
        name, lambda draft: _make(Build(draft / "prepared", draft / "build"), params, tables), *SOURCES
    )
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    return Build(folder / "prepared", folder / "build"), params


def _make(made: Build, params: Params, tables: Tables) -> None:
    prepare(params.problem, tables, made.prepared)
    rows = dataset.read(made.prepared, "rows")
    forecaster, report = train(rows, tables.static, params, lambda *_: None)
    store.save(forecaster, made.bundle, snapshot_of(forecaster, rows))
    report_files.write(report, made.build)


def prepare(problem: Problem, tables: Tables, folder: Path) -> None:
    parts = split.split(problem, tables.rows)
    frames = {"rows": parts.rows, "holdout": parts.holdout, "static": tables.static}
    dataset.write(folder, frames, card_of(problem, FileSource(()), tables, parts))
