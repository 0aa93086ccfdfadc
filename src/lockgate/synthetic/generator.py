"""Generates a Rossmann-like chain of stores from a seed, with a known noise floor.

Turnover is exp(demand + noise): see demand.py and noise.py. The best possible forecast is known: it uses the demand of
each store and the daily shock of the last day before the window.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from lockgate.data import raw_parts, row_rules
from lockgate.data.data_card import GeneratedSource
from lockgate.data.ingest import Tables
from lockgate.data.readers import MAX_ROWS
from lockgate.errors import BadConfiguration, BadData
from lockgate.features import calendar
from lockgate.features.store_panel import rossmann
from lockgate.problem import metrics
from lockgate.problem.columns import names
from lockgate.problem.description import Problem
from lockgate.problem.params import GeneratorParams
from lockgate.synthetic.calendar_plans import CalendarPlans, StorePlans, draw_store_plans
from lockgate.synthetic.demand import Among, log_sales
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
PLACE = "generated row {}".format
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
    return draft(params, params.stores).chain(0)


@dataclass(frozen=True)
class Streams:
    """The states of the streams of noise where a range of stores begins, and its open days without sales."""

    widths: Any
    sizes: Any
    baskets: Any
    saleless: NDArray[np.int64]  # places among the open days with a row


@dataclass(frozen=True)
class Draft:
    """What must be drawn once for a chain, so that each range of its stores can be drawn alone with equal numbers."""

    params: GeneratorParams
    range_stores: int  # stores of a range
    stores: pd.DataFrame
    plans: StorePlans
    day_shocks: Floats
    baskets: Floats  # mean basket of each store
    streams: tuple[Streams, ...]  # of each range

    def chain(self, number: int) -> Chain:
        """The stores of a range as a chain."""
        streams, places = self.streams[number], _places(self.range_stores, number)
        stores, known = self.stores[places].reset_index(drop=True), self.plans.of(places)
        signal = log_sales(known, stores, _rngs(self.params)[2], Among(self.params.stores, places))
        shocks = NoiseModel(self.params.noise)
        own = shocks.draw_own(signal.shape, _resumed(streams.widths), _resumed(streams.sizes))
        sales = np.where(known.is_open, np.rint(np.exp(signal + self.day_shocks + own)), 0).astype(np.int32)
        store, day = np.nonzero(known.is_open & known.present)
        sales[store[streams.saleless], day[streams.saleless]] = 0
        certain = np.where(known.is_open, np.exp(signal), 0.0)
        ids, baskets = stores[rossmann.STORE].to_numpy(), self.baskets[places]
        raw = _raw(known, sales, ids, baskets, _resumed(streams.baskets))
        return Chain(raw, stores, certain[known.present], self.day_shocks, shocks)


def draft(params: GeneratorParams, range_stores: int) -> Draft:
    """Draw what all stores share, and pass once over the streams of noise, range by range.

    The memory is that of one range and of a few numbers for each store.
    """
    for_stores, for_calendar, _, for_noise = _rngs(params)
    days = int(LAST_DAY.astype(np.int64)) + np.arange(1 - params.days, 1)
    stores = _stores(params.stores, for_stores)
    plans = draw_store_plans(days, params.stores, for_calendar)
    ranges = [_places(range_stores, number) for number in range(-(-params.stores // range_stores))]
    sizes = [len(stores[places]) * params.days for places in ranges]
    day_shocks = NoiseModel(params.noise).draw_days(params.days, for_noise)
    widths = _passed(for_noise, sizes, for_noise.random)
    normals = _passed(for_noise, sizes, for_noise.standard_normal)
    open_days, present_days = np.array([_counts(plans.of(places)) for places in ranges]).T
    saleless = _saleless(open_days, for_noise)
    baskets = for_noise.normal(9.0, 1.0, size=params.stores)
    rows = _passed(for_noise, present_days.tolist(), for_noise.standard_normal)
    streams = tuple(Streams(*each) for each in zip(widths, normals, rows, saleless, strict=True))
    return Draft(params, range_stores, stores, plans, day_shocks, baskets, streams)


def _rngs(params: GeneratorParams) -> list[Generator]:
    """The streams of stores, calendar, demand and noise."""
    return np.random.default_rng(params.seed).spawn(4)


def _places(range_stores: int, number: int) -> slice:
    return slice(number * range_stores, (number + 1) * range_stores)


def _passed(rng: Generator, sizes: Sequence[int], draw: Callable[[int], object]) -> list[Any]:
    """The state of a stream at the beginning of each of its parts; all parts are drawn."""
    states = []
    for size in sizes:
        states.append(rng.bit_generator.state)
        draw(size)
    return states


def _resumed(state: Any) -> Generator:
    """A stream that goes on from a state."""
    rng = np.random.default_rng()
    rng.bit_generator.state = state
    return rng


def _counts(known: CalendarPlans) -> tuple[int, int]:
    """The open days with a row, and all days with a row."""
    return int((known.is_open & known.present).sum()), int(known.present.sum())


def tables_and_source(params: GeneratorParams, problem: Problem) -> tuple[Tables, GeneratedSource]:
    """The tables of a chain after the checks of the problem, and their source with the noise floor of the last days.

    Raises BadData if the problem's columns are not those of the chain.
    """
    if params.stores * params.days > MAX_ROWS:
        what = f"{params.stores:,} stores x {params.days:,} days are more than {MAX_ROWS:,} rows"
        raise BadConfiguration(what, where="generator", hint=raw_parts.TOO_LARGE)
    chain = generate(params)
    check(problem, chain)
    row_rules.refuse_in_side_table(problem, problem.keys, chain.stores, PLACE)
    return Tables(chain.rows, chain.stores), source_of(params, chain.noise_floor(problem.horizon or 1))


def source_of(params: GeneratorParams, floor: float) -> GeneratedSource:
    """The settings of a chain, and the RMSPE of the best possible forecast of its holdout."""
    return GeneratedSource(params.stores, params.days, params.noise, params.seed, round(floor, 6))


def check(problem: Problem, chain: Chain) -> None:
    """Raise BadData if the problem's columns are not those of the chain, or if a row breaks a rule of the problem."""
    if missing := [name for name in names(problem.rows) if name not in chain.raw]:
        what = f"a generated chain of stores has no column {missing[0]}"
        raise BadData(what, where="source: generated", hint="set source: files in params.yaml")
    row_rules.refuse_in_history(problem, chain.raw, PLACE)


def _saleless(open_days: NDArray[np.int64], rng: Generator) -> list[NDArray[np.int64]]:
    """For each range of stores, the places of the open days without sales among its open days with a row."""
    ends, total = np.cumsum(open_days), int(open_days.sum())
    chosen = rng.choice(total, size=max(1, round(SALELESS_SHARE * total)), replace=False)
    of_range = np.searchsorted(ends, chosen, side="right")
    starts = ends - open_days
    return [chosen[of_range == number] - starts[number] for number in range(len(open_days))]


def _raw(
    known: CalendarPlans, sales: NDArray[np.int32], store_ids: NDArray[np.int32], baskets: Floats, rng: Generator
) -> pd.DataFrame:
    store, day = np.nonzero(known.present)
    sold = sales[known.present]
    basket = baskets[store] * np.exp(rng.normal(0, 0.04, size=len(sold)))
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
