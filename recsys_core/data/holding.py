"""A data set cut in two by time: what has happened, and what has not yet."""

from pathlib import Path

import polars as pl

from recsys_core.data.config import RatingsReadingConfig
from recsys_core.data.movielens.reading import read_ratings
from recsys_core.data.movielens.sources import locate
from recsys_core.days import start_of
from recsys_core.errors import DataError


def held_back(ratings: pl.DataFrame, first_day: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ratings before a day, and those of the day and later, each in the order given.

    Args:
        ratings: has `timestamp`.
        first_day: YYYY-MM-DD, UTC; None holds nothing back.

    Raises:
        DataError: there is no such day, or nothing lies before it.
    """
    if first_day is None:
        return ratings, ratings.clear()
    try:
        start = start_of(first_day)
    except DataError as fault:
        raise DataError(f"hold_back_from: {fault}") from fault
    is_later = pl.col("timestamp") >= start
    before, later = ratings.filter(~is_later), ratings.filter(is_later)
    if before.is_empty() and later.height:
        raise DataError(f"hold_back_from: no rating was given before {first_day}: choose a later day")
    return before, later


def ratings_held_back(dataset: str, raw: Path, config: RatingsReadingConfig) -> pl.DataFrame:
    """RATINGS of a data set that the settings leave out.

    Args:
        dataset: a known data set, or the path of one.
        raw: where known data sets lie.
        config: says from which day on ratings are held back.

    Raises:
        DataError: nothing is held back, or the data set cannot be read.
    """
    if config.hold_back_from is None:
        raise DataError(
            "nothing is held back that could be played: set base_ratings.hold_back_from, as in "
            "recsys_assets/presets/demo.yaml, and run `recsys --settings FILE run` first"
        )
    held = held_back(read_ratings(locate(dataset, raw), config).table, config.hold_back_from)[1]
    if held.is_empty():
        raise DataError(f"no rating was given on {config.hold_back_from} or later: choose an earlier day")
    return held
