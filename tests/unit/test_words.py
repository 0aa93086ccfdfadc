"""The words of a text as features."""

import numpy as np
import pandas as pd

from lockgate.features.plain_table import words
from lockgate.features.plain_table.sources import Source
from lockgate.features.plain_table.words import FEWEST_ROWS, MOST_WORDS, Words, words_of

MODELS = [f"{brand} {model} {size}" for brand in ("Opel", "VW", "Škoda") for model in "abc" for size in ("1.6", "2.0")]


def table(texts):
    return pd.DataFrame({"name": pd.Series(texts, dtype="str")})


def fit(texts):
    return next(words.fit([Source("name")], table(texts)), None)


def test_words_are_letters_digits_and_decimals_in_lower_case():
    assert words_of("Škoda_Octavia 1.6 TDI, 105PS (tdi)") == ("škoda", "octavia", "1.6", "tdi", "105ps")
    assert words_of("") == ()


def test_each_frequent_word_has_an_indicator_whatever_its_place_and_case():
    found = fit(MODELS * FEWEST_ROWS)
    assert set(found.words) == {"opel", "vw", "škoda", "a", "b", "c", "1.6", "2.0"}
    row = found.columns(table(["2.0 ŠKODA of an unseen kind"]))[0]
    assert {word for word, value in zip(found.words, row, strict=True) if value} == {"2.0", "škoda"}


def test_a_missing_or_unseen_text_has_no_word():
    assert not fit(MODELS * FEWEST_ROWS).columns(table([None, "x y z"])).any()


def test_words_of_few_rows_and_of_almost_all_rows_are_no_feature():
    rare = ["Opel d 1.6"] * (FEWEST_ROWS - 1)
    found = fit([f"car {text}" for text in MODELS * FEWEST_ROWS] + rare)
    assert not {"car", "d"} & set(found.words)


def test_several_texts_share_the_most_frequent_words():
    rows = table(MODELS * FEWEST_ROWS).assign(place=[f"street {place % 30}" for place in range(90)])
    found = list(words.fit([Source("place"), Source("name")], rows))
    assert [part.source.name for part in found] == ["name"]  # each number of a street has 3 rows


def test_a_text_of_many_words_keeps_the_most_frequent():
    texts = [f"all{place % 2} word{place % 400}" for place in range(400 * FEWEST_ROWS * 2)]
    found = fit(texts)
    assert len(found.words) == MOST_WORDS
    assert found.words[:2] == ("all0", "all1")


def test_single_words_and_few_values_have_no_words():
    assert fit([f"word{place % 40}" for place in range(400)]) is None
    assert fit(["two words", "other words"] * 100) is None


def test_the_arrays_restore_the_part():
    found = fit(MODELS * FEWEST_ROWS)
    assert Words.of_arrays(found.arrays()) == found
    assert np.array_equal(Words.of_arrays(found.arrays()).columns(table(MODELS)), found.columns(table(MODELS)))
