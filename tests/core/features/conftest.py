"""The test's requests of the tiny world and of the embedded data, with everything that their features read."""

import polars as pl
import pytest

from recsys_core.data.config import SplitsConfig
from recsys_core.data.splits import TEST, make_splits
from tests import tiny_world
from tests.core import embedded
from tests.core.features.asked import Asked, ask

ONE_STEP = SplitsConfig(n_refits=1)
"""Everybody who comes in the last tenth is asked of the same models: more users at once."""


def at_the_test(ratings: pl.DataFrame, movies: pl.DataFrame) -> Asked:
    splits = make_splits(ratings, ONE_STEP)
    name = f"{TEST}_1"
    return ask(ratings, movies, splits.fit_end(name), splits.requests(name))


@pytest.fixture(scope="session")
def asked() -> Asked:
    return at_the_test(tiny_world.ratings(), tiny_world.movies())


@pytest.fixture(scope="session")
def asked_of_people() -> Asked:
    return at_the_test(embedded.ratings(), embedded.movies())
