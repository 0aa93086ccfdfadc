"""One scene for all tests of chaos: a stack that may be hurt, apart from the one that the other tests share."""

import itertools
from collections.abc import Iterator

import pytest

from chaos import scene as scenes
from chaos.scene import Scene
from chaos.shelf import Shelf, Shelved

BUNDLES = 14
SHELVED = 3
counter = itertools.count(1)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A stack with a witness, and some bundles."""
    with scenes.opened(tmp_path_factory.mktemp("chaos"), BUNDLES) as opened:
        yield opened


@pytest.fixture(scope="session")
def shelf(scene: Scene) -> Shelf:
    """The first bundles, logged once."""
    made = Shelf(scene)
    made.fill(SHELVED)
    return made


@pytest.fixture
def model(shelf: Shelf) -> Shelved:
    """A model of this test alone."""
    return shelf.model(f"alone_{next(counter)}")
