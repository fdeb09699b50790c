"""A data set -> the folder of a row, by one of two protocols.

`last`: what does a user like next? Each user with at least five likes is judged by the latest fifth of them, tuned by
the tenth before. Other users' later ratings are in the fit: this measures taste, not forecasting.

`global`: what would have been known on the day? Cut-offs at 80 % and 90 % of the ratings by time; a user's context is
everything before the cut-off and the first half of what the user rated after it; the likes of the second half are the
targets. This is the project's own protocol (`recsys_core.data.splits`) with models that are fitted once for each part.

In both, a context lies strictly before the second of its first target, and likes of that second are targets, however
many share it: what a user rated in one second has no order, and ids must not invent one. Users with no context left are
not judged.
"""

import math
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from benchmarks.peers.folders import TUNING
from recsys_core.data.config import SplitsConfig
from recsys_core.data.movielens.reading import Dataset
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.data.splits import Splits, fit_ratings, known_ratings, make_splits
from recsys_core.tables import write_table

Protocol = Literal["last", "global"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

MIN_LIKES = 5
TEST_SHARE, TUNING_SHARE = 0.2, 0.1

Part = dict[str, pl.DataFrame]
"""fit, context, test: RATINGS columns each."""


def split(data: Dataset, protocol: Protocol, folder: Path) -> dict[str, int]:
    """Write a row's folder; returns the number of rows by file.

    Raises:
        DataError: `global` only: too few ratings for the cut-offs to differ.
    """
    test, tuning = last(data.ratings) if protocol == "last" else global_(data.ratings)
    tables = {**test, **{f"{TUNING}/{name}": table for name, table in tuning.items()}, "movies": _movies(data.movies)}
    (folder / TUNING).mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_table(table, folder / f"{name}.parquet")
    return {name: table.height for name, table in tables.items()}


def last(ratings: pl.DataFrame) -> tuple[Part, Part]:
    """(test, tuning) by each user's own time.

    The latest ceil(20 %) of a user's likes, and likes as old as the oldest of these, are the targets; the next
    ceil(10 %) likewise for tuning. Where both would begin in one second, the user has none for tuning.
    """
    ordered = ratings.filter(pl.col("rating") >= LIKED).sort("user_id", "timestamp")
    likes = ordered.group_by("user_id", maintain_order=True).agg(pl.col("timestamp"))
    starts = [(user, *_starts(times)) for user, times in likes.iter_rows() if len(times) >= MIN_LIKES]
    schema = {"user_id": pl.Int64(), "tuning_at": pl.Int64(), "test_at": pl.Int64()}
    timed = ratings.join(pl.DataFrame(starts, schema=schema, orient="row"), on="user_id", how="left")
    end = pl.lit(None, dtype=pl.Int64)
    return _part(timed, pl.col("test_at"), end), _part(timed, pl.col("tuning_at"), pl.col("test_at"))


def global_(ratings: pl.DataFrame) -> tuple[Part, Part]:
    """(test, tuning) by cut-offs in time."""
    windows = SplitsConfig(first_share=0.6, n_windows=4, n_refits=1, n_teaching=1)  # cut at 60, 70, 80 and 90 %
    splits = make_splits(ratings, windows)
    *_, tuning, test = splits.evaluation_slices
    return _slice(ratings, splits, test), _slice(ratings, splits, tuning)


def _starts(times: list[int]) -> tuple[int, int]:
    """The seconds in which the targets of tuning and of the test begin, of one user's likes in order of time."""
    n_test, n_tuning = math.ceil(len(times) * TEST_SHARE), math.ceil(len(times) * TUNING_SHARE)
    return times[-n_test - n_tuning], times[-n_test]


def _part(timed: pl.DataFrame, start: pl.Expr, end: pl.Expr) -> Part:
    """What lies before `start`, and the likes from then until before `end`.

    A null start is never reached (all of that user's ratings are to fit on), a null end never comes.
    """
    at = pl.col("timestamp")
    fit = timed.filter(start.is_null() | (at < start)).select(*RATINGS_COLUMNS)
    targets = timed.filter((at >= start) & (end.is_null() | (at < end)) & (pl.col("rating") >= LIKED))
    test = targets.select(*RATINGS_COLUMNS).join(fit, on="user_id", how="semi", maintain_order="left")
    context = fit.join(test, on="user_id", how="semi", maintain_order="left")
    return {"fit": fit, "context": context, "test": test}


def _slice(ratings: pl.DataFrame, splits: Splits, name: str) -> Part:
    return {
        "fit": fit_ratings(ratings, splits, name),
        "context": known_ratings(ratings, splits, name),
        "test": splits.targets.filter(slice=name).select(*RATINGS_COLUMNS),
    }


def _movies(movies: pl.DataFrame) -> pl.DataFrame:
    """item_id, title, genres, the title with its year as GroupLens prints it."""
    dated = pl.format("{} ({})", "title", "year")
    return movies.select("item_id", pl.coalesce(dated, "title").alias("title"), "genres")
