"""What a store's own past amounts to, and whose past stands in where it has none."""

import numpy as np
import pandas as pd
import pytest
import small_chain

from lockgate.features import panel
from lockgate.features.store_panel import cold_start
from lockgate.features.store_panel.store_attributes import store_attributes

DAYS = 200


def a_past(*sold):
    """A panel of one store each, which sold on the given days only (slices of the past)."""
    log_sales = np.full((len(sold), DAYS), np.nan)
    for store, days in enumerate(sold):
        log_sales[store, days] = 8.0
    return panel.Panel(16_000, log_sales, {}, np.zeros(log_sales.shape, dtype=bool))


@pytest.mark.parametrize(
    ("sold", "is_none", "is_little", "is_stale"),
    [
        (slice(0, 0), True, False, False),
        (slice(0, DAYS), False, False, False),
        (slice(DAYS - 1, DAYS), False, True, False),
        (slice(DAYS - 83, DAYS), False, True, False),
        (slice(DAYS - 84, DAYS), False, False, False),
        (slice(0, DAYS - 28), False, False, False),
        (slice(0, DAYS - 29), False, False, True),
        (slice(0, 1), False, True, True),
    ],
)
def test_a_store_has_no_past_a_little_one_an_old_one_or_enough(sold, is_none, is_little, is_stale):
    seen = cold_start.history_length(a_past(sold))
    assert (seen.never_sold.tolist(), seen.few_sales.tolist(), seen.no_recent_sale.tolist()) == (
        [is_none],
        [is_little],
        [is_stale],
    )


def stores(*letters):
    table = small_chain.chain().stores.head(len(letters))
    return store_attributes(table.assign(StoreType=[a for a, _ in letters], Assortment=[b for _, b in letters]))


def with_peers(coefficients, unknown, attributes):
    means = cold_start.means_of_peers(coefficients, unknown, attributes)
    return cold_start.with_peers(coefficients, unknown, attributes, means)


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        (["aa", "aa", "ab", "ba", "aa"], 1.5),  # of its type and assortment: 1 and 2
        (["aa", "ab", "bc", "ba", "ac"], 1.5),  # of its type: 1 and 2
        (["ba", "bb", "cc", "da", "ac"], 2.5),  # all: 1 to 4
    ],
)
def test_an_unknown_store_has_the_mean_of_its_nearest_peers(letters, expected):
    coefficients = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0], [np.pi, np.pi]])
    unknown = np.array([False] * 4 + [True])
    found = with_peers(coefficients, unknown, stores(*letters))
    assert found.tolist() == [*coefficients[:4].tolist(), [expected, 10 * expected]]
    assert coefficients[4].tolist() == [np.pi, np.pi]


def test_unknown_stores_do_not_stand_in_for_each_other():
    coefficients = np.array([[1.0], [100.0], [200.0]])
    found = with_peers(coefficients, np.array([False, True, True]), stores("bb", "aa", "aa"))
    assert found.tolist() == [[1.0], [1.0], [1.0]]


def test_where_nobody_sold_nothing_changes():
    coefficients = np.array([[1.0], [2.0]])
    assert with_peers(coefficients, np.array([True, True]), stores("aa", "bb")).tolist() == [[1.0], [2.0]]


def test_a_chain_in_which_every_store_sells_has_no_strangers():
    table = small_chain.parts().rows
    seen = cold_start.history_length(small_chain.history())
    assert not seen.never_sold.any()
    assert seen.sale_days.tolist() == table[table["Sales"] > 0].groupby("Store").size().tolist()
    last = pd.Series(table["Date"].max() - table[table["Sales"] > 0].groupby("Store")["Date"].max()).dt.days
    assert seen.days_since_sale.tolist() == last.tolist()
