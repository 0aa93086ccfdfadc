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
from lockgate.data.rows_by_part import RowsByPart
from lockgate.operations import lineage
from lockgate.operations.lineage import Lineage
from lockgate.operations.settings_digest import written_settings_digest
from lockgate.operations.stage_files import Build
from lockgate.problem.columns import Column, Date, Decimal, Flag, Whole
from lockgate.problem.description import Problem
from lockgate.problem.judged import judged
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import Params
from lockgate.problem.target_values import classes_of
from lockgate.registry.run_log import Contents, Dataset, LoggedFile, ModelAbout, RunRecord
from lockgate.reports import plot, plots, review_markdown, run_metrics
from lockgate.reports.plot_index import TRAINING_PLOTS
from lockgate.system import page_addresses

EXAMPLE_ROWS = 5
NO_CANDIDATES = ["member", "fold", "rmspe", "mae", "bias"]  # the columns of a table without rows


def contents(made: Build, digest: str, problem: Problem) -> Contents:
    """The bundle with an example of raw rows and the exact package versions, which MLflow stores beside it."""
    rows = data_dataset.read_part(made.prepared, "holdout", 0).head(EXAMPLE_ROWS)
    classes = () if problem.task == "regression" else classes_of(problem, _distinct_targets(made.prepared, problem))
    example = pd.DataFrame({column.name: _as_json(rows[column.name], column) for column in problem.request})
    return Contents(made.bundle, digest, problem, example, lineage.pinned_requirements(), classes)


def _distinct_targets(prepared: Path, problem: Problem) -> "pd.Series[Any]":
    """Each target of the training rows once in each part."""
    return pd.concat([part[problem.target].drop_duplicates() for part in data_dataset.by_part(prepared, "rows")])


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
    candidates = pd.read_csv(made.build / "scores.csv")
    metrics = json.loads((made.build / "metrics.json").read_text(encoding="utf-8"))
    until = data_dataset.trained_until(made.prepared)
    name = ", ".join([*([f"trained until {until}"] if until else []), f"seed {params.seed}"])
    return RunRecord(
        name=name,
        note=_note(params, candidates, metrics),
        about=about(params.problem),
        params=_recorded(params),
        metrics=run_metrics.of_training(metrics, candidates.to_dict("records")),
        curves=[
            (f"learning_curves/{row.member}/fold {row.fold}", int(row.step), float(row.score))
            for row in curves.itertuples()
        ],
        candidates=candidates,
        tags=sources.as_tags() | ({"engine": "dask"} if "dask_workers" in metrics else {}),
        datasets=_datasets(made, sources, params.problem),
        files=_files(made, curves),
        settings=written_settings_digest(params),
    )


def about(problem: Problem) -> ModelAbout:
    """What a model is, for its page and that of its experiment."""
    metric = METRICS[problem.metric]
    kind = {"panel": "a panel with a horizon", "state": "states of a key", "table": "a plain table"}[problem.kind]
    title = review_markdown.escaped(problem.title or problem.name)
    said = judged(problem)
    lines = [
        title,
        f"Target {review_markdown.escaped(said['target'])}; {kind}; judged by {metric.label} ({metric.better} is"
        f" better) on a holdout by {review_markdown.escaped(said['split'])}.",
        "Versions rise from None to Staging by a passed verdict of the gate, and to Production by a decision of a"
        " person. The tag `verdict` of a version is the outcome; its page has the checks.",
        f"[Stages, review queue, history]({page_addresses.overview()})",
    ]
    tags = {"problem": problem.name, "kind": problem.kind, "task": problem.task, "metric": problem.metric}
    return ModelAbout("\n\n".join(lines), tags | {"target": problem.target})


def _note(params: Params, candidates: pd.DataFrame, metrics: Mapping[str, float]) -> str:
    """The description of the run until a verdict replaces it."""
    metric = METRICS[params.problem.metric]
    blend = candidates[(candidates["member"] == "blend") & (candidates["fold"] == "all")][metric.name]
    weights = ", ".join(
        f"{name.removeprefix('weight_')} {value:.2f}" for name, value in metrics.items() if name.startswith("weight_")
    )
    score = f"{metric.label} {metric.shown(float(blend.iloc[0]))} on the inner folds; " if len(blend) else ""
    return f"{score}blend of {weights}. No verdict yet."


def brought_contents(bundle: Path, digest: str, problem: Problem, rows: Mapping[str, list[Any]]) -> Contents:
    """An imported or refitted bundle with the data that MLflow stores beside it; the raw rows give the example."""
    example = pd.DataFrame(dict(rows))
    for column in problem.request:
        if column.name not in example:
            example[column.name] = 1.0 if isinstance(column.kind, Flag) else None
    names = [column.name for column in problem.request]
    classes = store.classes_of(bundle) if problem.task == "multiclass" else ()
    return Contents(bundle, digest, problem, example[names], lineage.pinned_requirements(), classes)


def brought_record(problem: Problem, params: Mapping[str, str], tags: Mapping[str, str]) -> RunRecord:
    """The record of an imported bundle, which has no metrics, curves, candidates or data."""
    note = f"Registered from {review_markdown.escaped(tags.get('came_from', 'elsewhere'))}. No verdict yet."
    nothing = pd.DataFrame(columns=NO_CANDIDATES)
    return RunRecord(
        f"imported {tags.get('kind', 'model')}", note, about(problem), params, {}, [], nothing, tags, [], []
    )


def refit_record(made: Build, params: Params, chosen: Mapping[str, float], tags: Mapping[str, str]) -> RunRecord:
    """The record of a refit: its settings, and rows and holdout as training data."""
    sources = _lineage(made, params)
    of = f"refit of version {tags['refit_of']}, trained until {tags['trained_until']}"
    return RunRecord(
        name=of,
        note=f"{of[0].upper()}{of[1:]}: {review_markdown.escaped(tags['refit_reason'])}. No verdict yet.",
        about=about(params.problem),
        params=_recorded(params),
        metrics=chosen,
        curves=[],
        candidates=pd.DataFrame(columns=NO_CANDIDATES),
        tags=sources.as_tags() | dict(tags),
        datasets=[replace(dataset, context="training") for dataset in _datasets(made, sources, params.problem)],
        files=[LoggedFile(made.prepared / CARD, "lineage")],
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


def _datasets(made: Build, sources: Lineage, problem: Problem) -> list[Dataset]:
    tables: list[tuple[Part, str, str]] = [
        ("rows", "training", sources.rows_digest),
        ("holdout", "validation", sources.holdout_digest),
    ]
    return [
        Dataset(
            part,
            context,
            *example_of(data_dataset.by_part(made.prepared, part)),
            digest,
            str(data_dataset.place(made.prepared, part)),
            problem.target,
        )
        for part, context, digest in tables
    ]


def example_of(table: RowsByPart) -> tuple[pd.DataFrame, int]:
    """Rows that show the types of a table and which columns have missing values, and the number of its rows."""
    some, count = [], 0
    for part in table:
        missing = [part[part[name].isna()].head(1) for name in part]
        some.append(pd.concat([part.head(0 if count else EXAMPLE_ROWS), *missing]))
        count += len(part)
    return pd.concat(some, ignore_index=True), count


TABLES = {
    "scores.csv": "scores_of_members.csv",
    "curves.csv": "learning_curves.csv",
    "importances.csv": "importances.csv",
    "features.csv": "permutation_importances.csv",
}  # the tables of a training, and their names in the run
SOURCES = ("params.yaml", "dvc.lock")


def _files(made: Build, curves: pd.DataFrame) -> list[LoggedFile]:
    """Plots, tables and lineage, each in a folder of the build with the name that it has in the run."""
    shares, rises = (pd.read_csv(made.build / name) for name in ("importances.csv", "features.csv"))
    drawn = plot.write(plots.of_training(curves, shares, rises), made.plots, TRAINING_PLOTS, {})
    tables = [_copied(made.build / name, made.tables / now) for name, now in TABLES.items()]
    sources = [_copied(made.prepared / CARD, made.lineage / "data_card.json")]
    sources += [_copied(Path(name), made.lineage / name) for name in SOURCES if Path(name).is_file()]
    return [LoggedFile(path, path.parent.name) for path in (*drawn, *tables, *sources)]


def _copied(file: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.read_bytes())
    return target


def _recorded(params: Params) -> dict[str, str]:
    """The params of a run: all but the table of columns, which the bundle has, and what the description leaves out."""
    settings = _flat(params.model_dump(exclude={"guard", "problem", "sweep"}))
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
