"""A Rossmann-like chain, drawn from a seed, where no real data is at hand. How well it can be forecast is known.

Sales are exp(what the calendar says + noise). The noise is new every day: a shock that the whole chain shares, and one
of each store's own with heavy tails. So nothing known at an origin helps to forecast it, and the expectation given all
that is known then plus the calendar is exp(what the calendar says) times the mean of exp(noise), whatever the origin.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate import metrics
from lockgate.data import calendar, contradictions
from lockgate.data.demand import log_sales
from lockgate.data.occasions import Occasions, occasions
from lockgate.data.tables import Tables, as_rows
from lockgate.params import GeneratorParams

Floats = NDArray[np.float64]

LAST_DAY = np.datetime64("2015-07-31")
SHARED_VARIANCE = 0.2  # of the noise: weather and the like, which the whole chain feels
TAIL_SHARE, TAIL_WIDTH = 0.05, 3.0  # this share of a store's own shocks is so many times as wide
SALELESS_SHARE = 6e-5  # open, and nothing was sold: 54 of the real rows
INTERVALS = ("Jan,Apr,Jul,Oct", "Feb,May,Aug,Nov", "Mar,Jun,Sept,Dec")


@dataclass(frozen=True)
class GeneratedSource:
    """Rows that were generated, and the RMSPE on the holdout of the true conditional expectation: no honest forecast is
    expected to come below it."""

    stores: int
    days: int
    noise: float
    seed: int
    noise_floor_rmspe: float
    kind: str = "generator"


@dataclass(frozen=True)
class Chain:
    """A generated chain."""

    raw: pd.DataFrame  # as train.csv holds it, sorted by Store and Date
    stores: pd.DataFrame
    expectation: Floats  # (len(raw),) of the sales, given the past and the calendar; 0 where closed

    @property
    def rows(self) -> pd.DataFrame:
        """The rows in the form that reading train.csv gives."""
        return as_rows(self.raw)

    def tables(self) -> Tables:
        """The chain after the checks that a CSV has to pass."""
        contradictions.refuse_in_past(self.raw, self.stores, lambda row: f"generated row {row}")
        return Tables(self.rows, self.stores)

    def noise_floor(self, holdout_days: int) -> float:
        """RMSPE of the expectation on the last days."""
        kept = (self.raw["Date"] > self.raw["Date"].max() - pd.Timedelta(days=holdout_days)).to_numpy()
        return metrics.rmspe(self.raw["Sales"].to_numpy()[kept], self.expectation[kept])


def generate(params: GeneratorParams) -> Chain:
    """Draw a chain of `params.stores` stores over `params.days` days up to LAST_DAY; the same seed, the same chain."""
    for_stores, for_calendar, for_demand, for_noise = np.random.default_rng(params.seed).spawn(4)
    days = int(LAST_DAY.astype(np.int64)) + np.arange(1 - params.days, 1)
    stores = _stores(params.stores, for_stores)
    known = occasions(days, params.stores, for_calendar)
    signal = log_sales(known, stores, for_demand)
    noise, mean_factor = _noise(signal.shape, params.noise, for_noise)
    sales = np.where(known.is_open, np.rint(np.exp(signal + noise)), 0).astype(np.int32)
    sales[_saleless(known, for_noise)] = 0
    expectation = np.where(known.is_open, np.exp(signal) * mean_factor, 0.0)
    raw = _raw(known, sales, stores["Store"].to_numpy(), for_noise)
    return Chain(raw, stores, expectation[known.present])


def tables_and_source(params: GeneratorParams, holdout_days: int) -> tuple[Tables, GeneratedSource]:
    """A chain's tables, and where they come from with the noise floor of the last days, for the data card."""
    chain = generate(params)
    source = GeneratedSource(
        params.stores, params.days, params.noise, params.seed, round(chain.noise_floor(holdout_days), 6)
    )
    return chain.tables(), source


def _noise(shape: tuple[int, int], spread: float, rng: Generator) -> tuple[Floats, float]:
    """Noise of log sales with the standard deviation `spread`, and the mean of its exponential."""
    shared = spread * np.sqrt(SHARED_VARIANCE)
    own = spread * np.sqrt((1 - SHARED_VARIANCE) / (1 + TAIL_SHARE * (TAIL_WIDTH**2 - 1)))
    widths = np.where(rng.random(shape) < TAIL_SHARE, TAIL_WIDTH * own, own)
    noise = rng.normal(0, shared, size=shape[1]) + widths * rng.standard_normal(shape)
    mean_of_own = (1 - TAIL_SHARE) * np.exp(own**2 / 2) + TAIL_SHARE * np.exp((TAIL_WIDTH * own) ** 2 / 2)
    return noise, float(np.exp(shared**2 / 2) * mean_of_own)


def _saleless(known: Occasions, rng: Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    store, day = np.nonzero(known.is_open & known.present)
    chosen = rng.choice(len(store), size=max(1, round(SALELESS_SHARE * len(store))), replace=False)
    return store[chosen], day[chosen]


def _raw(known: Occasions, sales: NDArray[np.int32], store_ids: NDArray[np.int32], rng: Generator) -> pd.DataFrame:
    store, day = np.nonzero(known.present)
    sold = sales[known.present]
    basket = rng.normal(9.0, 1.0, size=len(store_ids))[store] * np.exp(rng.normal(0, 0.04, size=len(sold)))
    dates = known.days[day].astype("datetime64[D]").astype("datetime64[s]")
    return pd.DataFrame(
        {
            "Store": store_ids[store],
            "DayOfWeek": (calendar.weekdays(known.days)[day] + 1).astype(np.int8),
            "Date": dates,
            "Sales": sold,
            "Customers": np.rint(sold / basket).astype(np.int32),
            "Open": known.is_open[known.present].astype(np.int8),
            "Promo": known.promo[day].astype(np.int8),
            "StateHoliday": pd.array(known.holiday[known.present], dtype="str"),
            "SchoolHoliday": known.school[known.present].astype(np.int8),
        }
    )


def _stores(count: int, rng: Generator) -> pd.DataFrame:
    """A store table with the shares of nulls that Kaggle's store.csv has."""

    def unless(missing: NDArray[np.bool_], values: NDArray[np.int64]) -> Floats:
        return np.where(missing, np.nan, values.astype(np.float64))

    distance = np.maximum(20, np.rint(np.exp(rng.normal(7.8, 1.2, size=count)) / 10) * 10).astype(np.int64)
    undated = rng.random(count) < 0.32
    alone = rng.permutation(count) < 0.49 * count  # takes no part in Promo2
    return pd.DataFrame(
        {
            "Store": np.arange(1, count + 1, dtype=np.int32),
            "StoreType": pd.array(rng.choice(list("abcd"), size=count, p=[0.54, 0.02, 0.13, 0.31]), dtype="str"),
            "Assortment": pd.array(rng.choice(list("abc"), size=count, p=[0.53, 0.01, 0.46]), dtype="str"),
            "CompetitionDistance": unless(rng.random(count) < 0.003, distance),
            "CompetitionOpenSinceMonth": unless(undated, rng.integers(1, 13, size=count)),
            "CompetitionOpenSinceYear": unless(undated, rng.integers(2000, 2016, size=count)),
            "Promo2": (~alone).astype(np.int8),
            "Promo2SinceWeek": unless(alone, rng.integers(1, 51, size=count)),
            "Promo2SinceYear": unless(alone, rng.integers(2009, 2015, size=count)),
            "PromoInterval": pd.array(np.where(alone, "", rng.choice(INTERVALS, size=count)), dtype="str"),
        }
    )
