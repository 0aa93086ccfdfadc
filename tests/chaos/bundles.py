"""Many honest bundles from one small training: each blends the same members by weights of its own."""

from dataclasses import replace
from pathlib import Path

import foreign_models
import small_chain

from lockgate.bundle import store
from lockgate.data import dataset
from lockgate.data.data_card import GeneratedSource, card_of
from lockgate.data.ingest import Tables
from lockgate.forecaster.ensemble import RIDGE, Forecaster
from lockgate.operations.stage_files import Build
from lockgate.problem.params import Params
from lockgate.training import report_files

A_LITTLE = 1e-4  # of weight, moved to the ridge: other bytes, hardly other forecasts
FAR_TOO_HIGH = 3.0
EVERY_NTH_IS_BAD = 5


def make(folder: Path, count: int) -> list[Build]:
    """Builds as `dvc repro` leaves them, all of one prepared table. Every fifth one forecasts three times too much."""
    forecaster, report = small_chain.trained()
    _prepare(folder / "prepared")
    made = [Build(folder / "prepared", folder / f"build-{number}") for number in range(1, count + 1)]
    for number, build in enumerate(made, start=1):
        store.save(_variant(forecaster, number), build.bundle)
        report_files.write(report, build.build)
    return made


def make_foreign(folder: Path, count: int) -> list[Path]:
    """MLflow models as somebody else trains and saves them, each with more rounds than the one before."""
    chain, rows = small_chain.chain(), small_chain.parts().rows
    values, labels = foreign_models.sold(rows, foreign_models.USUAL, chain.stores)
    said = {"trained_until": str(rows["Date"].max().date()), "target": "sales"}
    boosters = [foreign_models.lightgbm_booster(values, labels, rounds=20 + number) for number in range(count)]
    return [
        foreign_models.save(booster, folder / f"model-{number}", values, metadata=said)
        for number, booster in enumerate(boosters, start=1)
    ]


def params(problem: str) -> Params:
    """The params of the small chain for a problem of this name: a gate that a good bundle passes, whoever serves."""
    whole = small_chain.params()
    over_serving = {"over_serving": 1.0, "over_slice": 1.0}
    limits = {"limit": 0.8, "min_scored_rows": 100, "max_holdout_uses": 100_000} | over_serving
    named = whole.problem.model_copy(update={"name": problem})
    return whole.model_copy(update={"problem": named, "gate": whole.gate.model_copy(update=limits)})


def is_bad(number: int) -> bool:
    """Whether the gate must refuse the bundle of this number."""
    return number % EVERY_NTH_IS_BAD == 0


def _prepare(folder: Path) -> None:
    chain, parts = small_chain.chain(), small_chain.parts()
    source = GeneratedSource(small_chain.STORES, small_chain.DAYS, 0.06, 3, 0.06)
    card = card_of(small_chain.params().problem, source, Tables(chain.rows, chain.stores), parts)
    dataset.write(folder, {"rows": parts.rows, "holdout": parts.holdout, "static": chain.stores}, card)


def _variant(forecaster: Forecaster, number: int) -> Forecaster:
    factor = FAR_TOO_HIGH if is_bad(number) else 1.0
    weights = {name: weight * factor for name, weight in forecaster.weights.items()}
    weights[RIDGE] += A_LITTLE * number
    return replace(forecaster, weights=weights)
