"""The words of a text, such as those of a car's name: an indicator of each frequent one."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lockgate.features.plain_table.sources import Source

Floats = NDArray[np.float64]

WORD = re.compile(r"[^\W_]+(?:\.\d+)?")  # letters and digits, and decimals: 1.6
FEWEST_VALUES = 13  # of a text; fewer have an indicator each
SHARE_OF_SEVERAL = 0.5  # of the values of a text must have several words
FEWEST_ROWS = 5  # of a word, with it and without it
MOST_WORDS = 300  # of all texts: the most frequent


@dataclass(frozen=True)
class Words:
    """An indicator of each of these words, whatever their case and place in the text. An unseen word has none."""

    source: Source
    words: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.source.name}~{word}" for word in self.words)

    def columns(self, rows: pd.DataFrame) -> Floats:
        codes, values = pd.factorize(self.source.texts(rows))
        found = np.zeros((len(values), len(self.words)))
        for row, value in enumerate(values):
            found[row, [self._places[word] for word in words_of(value) if word in self._places]] = 1.0
        return np.asarray(found[codes])

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"source": self.source.array(), "words": np.array(self.words)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Words":
        return cls(Source.of_array(arrays["source"]), tuple(map(str, arrays["words"])))

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}


def fit(sources: Iterable[Source], rows: pd.DataFrame) -> Iterator[Words]:
    """The most frequent words of those sources whose texts have several words."""
    found = {
        (source.name, word): (count, source) for source in sources for word, count in _counts(source, rows).items()
    }
    order = sorted(found, key=lambda key: (-found[key][0], key))[:MOST_WORDS]
    for source in dict.fromkeys(source for _, source in found.values()):
        if chosen := tuple(word for name, word in order if name == source.name):
            yield Words(source, chosen)


def _counts(source: Source, rows: pd.DataFrame) -> dict[str, int]:
    """The number of rows of each word that tells rows apart; none where the texts are single words."""
    values, counts = np.unique(source.texts(rows).astype(str), return_counts=True)
    split = [words_of(value) for value in values]
    several = sum(len(words) > 1 for words in split)
    if len(values) < FEWEST_VALUES or several <= SHARE_OF_SEVERAL * len(values):
        return {}
    found: Counter[str] = Counter()
    for words, count in zip(split, counts.tolist(), strict=True):
        found.update(dict.fromkeys(words, count))
    return {word: count for word, count in found.items() if FEWEST_ROWS <= count <= len(rows) - FEWEST_ROWS}


def words_of(text: str) -> tuple[str, ...]:
    """The different words of a text in lower case, in their order."""
    return tuple(dict.fromkeys(WORD.findall(text.lower())))
