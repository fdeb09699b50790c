"""The data set that comes with the project, read once for all tests of the core."""

from functools import cache
from pathlib import Path

import polars as pl

from recsys_core.data.movielens.reading import read_movies, read_ratings

PATH = Path(__file__).parents[2] / "data_lake" / "raw" / "ml-latest-small-2016.zip"


@cache
def ratings() -> pl.DataFrame:
    """RATINGS of real people: bursts in one second, new users, forgotten items."""
    return read_ratings(PATH).table


@cache
def movies() -> pl.DataFrame:
    """MOVIES."""
    return read_movies(PATH).table
