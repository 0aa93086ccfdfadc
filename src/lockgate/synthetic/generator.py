"""Generates a Rossmann-like chain of stores from a seed, with a known noise floor.

Turnover is exp(demand + noise): see demand.py and noise.py. The best possible forecast is known: it uses the demand of
each store and the daily shock of the last day before the window.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.data import row_rules
from lockgate.data.data_card import GeneratedSource
from lockgate.data.ingest import Tables
from lockgate.errors import BadData
from lockgate.features import calendar
from lockgate.features.store_panel import rossmann
from lockgate.problem import metrics
from lockgate.problem.columns import names
from lockgate.problem.description import Problem
from lockgate.problem.params import GeneratorParams
from lockgate.synthetic.calendar_plans import CalendarPlans, draw_plans
from lockgate.synthetic.demand import log_sales
from lockgate.synthetic.noise import NoiseModel

Floats = NDArray[np.float64]

LAST_DAY = np.datetime64("2015-07-31")
ROW_COLUMNS = [
    rossmann.STORE,
    rossmann.DATE,
    rossmann.SALES,
    rossmann.OPEN,
    rossmann.PROMO,
    rossmann.STATE_HOLIDAY,
    rossmann.SCHOOL_HOLIDAY,
]
TYPE_SHARES = (0.54, 0.02, 0.13, 0.31)
SALELESS_SHARE = 6e-5  # open without sales: 54 of the real rows
INTERVALS = ("Jan,Apr,Jul,Oct", "Feb,May,Aug,Nov", "Mar,Jun,Sept,Dec")


@dataclass(frozen=True)
class Chain:
    """A generated chain."""

    raw: pd.DataFrame  # as train.csv holds it, sorted by store and date
    stores: pd.DataFrame
    certain: Floats  # (len(raw),) sales without noise; 0 where closed
    day_shocks: Floats  # one for each day from the first to the last
    noise_model: NoiseModel

    @property
    def rows(self) -> pd.DataFrame:
        """The rows in the form that reading train.csv gives."""
        return self.raw[ROW_COLUMNS].sort_values([rossmann.STORE, rossmann.DATE], ignore_index=True)

    def perfect_forecast(self, days: int) -> "pd.Series[float]":
        """The forecast with the lowest expected RMSPE for the last `days` days, by row of `raw`."""
        ahead = days - (self.raw[rossmann.DATE].max() - self.raw[rossmann.DATE]).dt.days.to_numpy(dtype=np.int64)
        kept = ahead > 0
        factor = self.noise_model.best_factor(ahead[kept], float(self.day_shocks[-days - 1]))
        return pd.Series(self.certain[kept] * factor, index=self.raw.index[kept])

    def noise_floor(self, holdout_days: int) -> float:
        """RMSPE of the best possible forecast on the last days; no forecast has a lower expected RMSPE."""
        perfect = self.perfect_forecast(holdout_days)
        return metrics.rmspe(self.raw[rossmann.SALES][perfect.index].to_numpy(), perfect.to_numpy())


def generate(params: GeneratorParams) -> Chain:
    """Draw a chain of `params.stores` stores over `params.days` days up to LAST_DAY; equal seeds give equal chains."""
    for_stores, for_calendar, for_demand, for_noise = np.random.default_rng(params.seed).spawn(4)
    days = int(LAST_DAY.astype(np.int64)) + np.arange(1 - params.days, 1)
    stores = _stores(params.stores, for_stores)
    known = draw_plans(days, params.stores, for_calendar)
    signal = log_sales(known, stores, for_demand)
    shocks = NoiseModel(params.noise)
    day_shocks, own = shocks.draw_days(params.days, for_noise), shocks.draw_own(signal.shape, for_noise)
    sales = np.where(known.is_open, np.rint(np.exp(signal + day_shocks + own)), 0).astype(np.int32)
    sales[_saleless(known, for_noise)] = 0
    certain = np.where(known.is_open, np.exp(signal), 0.0)
    raw = _raw(known, sales, stores[rossmann.STORE].to_numpy(), for_noise)
    return Chain(raw, stores, certain[known.present], day_shocks, shocks)


def tables_and_source(params: GeneratorParams, problem: Problem) -> tuple[Tables, GeneratedSource]:
    """The tables of a chain after the checks of the problem, and their source with the noise floor of the last days.

    Raises BadData if the problem's columns are not those of the chain.
    """
    chain, place = generate(params), "generated row {}".format
    if missing := [name for name in names(problem.rows) if name not in chain.raw]:
        what = f"a generated chain of stores has no column {missing[0]}"
        raise BadData(what, where="source: generated", hint="set source: files in params.yaml")
    row_rules.refuse_in_history(problem, chain.raw, place)
    row_rules.refuse_in_side_table(problem, problem.keys, chain.stores, place)
    floor = round(chain.noise_floor(problem.horizon or 1), 6)
    source = GeneratedSource(params.stores, params.days, params.noise, params.seed, floor)
    return Tables(chain.rows, chain.stores), source


def _saleless(known: CalendarPlans, rng: Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    store, day = np.nonzero(known.is_open & known.present)
    chosen = rng.choice(len(store), size=max(1, round(SALELESS_SHARE * len(store))), replace=False)
    return store[chosen], day[chosen]


def _raw(known: CalendarPlans, sales: NDArray[np.int32], store_ids: NDArray[np.int32], rng: Generator) -> pd.DataFrame:
    store, day = np.nonzero(known.present)
    sold = sales[known.present]
    basket = rng.normal(9.0, 1.0, size=len(store_ids))[store] * np.exp(rng.normal(0, 0.04, size=len(sold)))
    dates = known.days[day].astype("datetime64[D]").astype("datetime64[s]")
    return pd.DataFrame(
        {
            rossmann.STORE: store_ids[store],
            rossmann.DAY_OF_WEEK: (calendar.weekdays(known.days)[day] + 1).astype(np.int8),
            rossmann.DATE: dates,
            rossmann.SALES: sold,
            rossmann.CUSTOMERS: np.rint(sold / basket).astype(np.int32),
            rossmann.OPEN: known.is_open[known.present].astype(np.int8),
            rossmann.PROMO: known.promo[day].astype(np.int8),
            rossmann.STATE_HOLIDAY: pd.array(known.holiday[known.present], dtype="str"),
            rossmann.SCHOOL_HOLIDAY: known.school[known.present].astype(np.int8),
        }
    )


def _stores(count: int, rng: Generator) -> pd.DataFrame:
    """A store table with the shares of nulls of a real one."""

    def unless(missing: NDArray[np.bool_], values: NDArray[np.int64]) -> Floats:
        return np.where(missing, np.nan, values.astype(np.float64))

    distance = np.maximum(20, np.rint(np.exp(rng.normal(7.8, 1.2, size=count)) / 10) * 10).astype(np.int64)
    undated = rng.random(count) < 0.32
    alone = rng.permutation(count) < 0.49 * count  # not in Promo2
    return pd.DataFrame(
        {
            rossmann.STORE: np.arange(1, count + 1, dtype=np.int32),
            rossmann.STORE_TYPE: pd.array(rng.choice(list("abcd"), size=count, p=TYPE_SHARES), dtype="str"),
            rossmann.ASSORTMENT: pd.array(rng.choice(list("abc"), size=count, p=[0.53, 0.01, 0.46]), dtype="str"),
            rossmann.COMPETITION_DISTANCE: unless(rng.random(count) < 0.003, distance),
            rossmann.COMPETITION_MONTH: unless(undated, rng.integers(1, 13, size=count)),
            rossmann.COMPETITION_YEAR: unless(undated, rng.integers(2000, 2016, size=count)),
            rossmann.PROMO2: (~alone).astype(np.int8),
            rossmann.PROMO2_WEEK: unless(alone, rng.integers(1, 51, size=count)),
            rossmann.PROMO2_YEAR: unless(alone, rng.integers(2009, 2015, size=count)),
            rossmann.PROMO_INTERVAL: pd.array(np.where(alone, "", rng.choice(INTERVALS, size=count)), dtype="str"),
        }
    )
