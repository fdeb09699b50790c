"""The folder of one split: how two protocols make it from a data set, and what a model may read of it.

    fit.parquet       ratings to fit on               user_id, item_id, rating, timestamp
    context.parquet   the history of each user with targets: folded in, and never recommended again
    test.parquet      the targets: liked items to be found
    movies.parquet    item_id, title, genres
    tune/             fit, context and test one step earlier in time: every setting is chosen here

Only `targets_of` opens a `test.parquet`.

`last` asks what a user likes next. Each user with at least five likes is judged by the latest fifth of them, and tuned
by the tenth before. The ratings to fit on include later ratings of other users: this measures taste, not forecasting.

`global` asks what was predictable at a time. The cut-offs are at 80 % and 90 % of the ratings in order of time. A
user's context is everything before the cut-off, and the first half of the user's ratings after it; the likes of the
second half are the targets. This is the project's own protocol (`recsys_core.data.splits`), with models that are fitted
once for each part.

In both, a context ends strictly before the second of its first target, and all likes of that second are targets:
ratings of one second have no order, and ids must not invent one. Users whose context is empty are left out.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of
from recsys_core.data.movielens.reading import Dataset
from recsys_core.data.movielens.sources import source_version
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.data.splits import Splits, fit_ratings, known_ratings, make_splits
from recsys_core.errors import DataError
from recsys_core.evaluation.protocols import RANKED_LISTS
from recsys_core.tables import write_table

TUNING = "tune"

Protocol = Literal["last", "global"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

MIN_LIKES = 5
TEST_SHARE, TUNING_SHARE = 0.2, 0.1

Part = dict[str, pl.DataFrame]
"""fit, context, test: RATINGS columns each."""


def split(data: Dataset, protocol: Protocol, folder: Path) -> dict[str, int]:
    """Write the folder of a split; returns the number of rows by file.

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
    ceil(10 %) likewise for tuning. If both would begin in the same second, the user has none for tuning.
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


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known before the targets.

    Attributes: train: the histories to fit on. contexts: the histories of the users to recommend to. catalogue: the
    items of both: those with a rating in `fit.parquet`. fit_end: seconds UTC; one second after the last rating to fit
    on, for models that use the age of ratings.
    """

    train: Histories
    contexts: Histories
    catalogue: Catalogue
    fit_end: int


def known_of(folder: Path) -> Known:
    """Read the ratings to fit on and to fold in; ratings of items that the fit has not seen are left out.

    Raises:
        DataError: a file is missing, empty, or not a table of ratings.
    """
    fit, context = table_of(folder / "fit.parquet"), table_of(folder / "context.parquet")
    catalogue = catalogue_of(fit)
    return Known(
        train=histories_of(fit, catalogue),
        contexts=histories_of(context, catalogue),
        catalogue=catalogue,
        fit_end=int(fit["timestamp"].to_numpy().max()) + 1,
    )


def targets_of(folder: Path) -> pl.DataFrame:
    """user_id, item_id of every liked item to be found; no other function reads them.

    Raises:
        DataError: the file is missing, empty, or not a table of ratings.
    """
    return table_of(folder / "test.parquet").select("user_id", "item_id")


def tuning_data(folder: Path) -> str:
    """SHA-256 of the data that settings are chosen on, so that settings of another folder are noticed.

    Raises:
        DataError: there is no such folder.
    """
    return source_version(folder / TUNING)


def table_of(path: Path) -> pl.DataFrame:
    """A table of ratings, in the types of RATINGS.

    Raises:
        DataError: the file is missing, lacks a column, holds nulls or a pair twice, or has no rows.
    """
    table = _columns_of(path, RATINGS_COLUMNS)
    if table.is_empty():
        raise DataError(f"{path} has no rows: split a data set with users who have enough likes")
    if table.select("user_id", "item_id").is_duplicated().any():
        raise DataError(f"{path} holds an item twice for one user: keep the latest rating of each pair")
    return table


def lists_of(name: str, path: Path, context: pl.DataFrame) -> pl.DataFrame:
    """RANKED_LISTS of another recommender, under a name of its own; its scores are ignored.

    Args:
        name: in the table.
        path: user_id, item_id, rank (from 1); other columns are ignored.
        context: user_id, item_id of the users' histories.

    Raises:
        DataError: the file is not a table of lists, two items share a rank, or an item of a user's context is listed.
    """
    columns: dict[str, pl.DataType] = {"user_id": pl.Int64(), "item_id": pl.Int64(), "rank": pl.Int64()}
    table = _columns_of(path, columns).select(pl.lit(name).alias("model"), *columns)
    for pair, fault in ((("user_id", "item_id"), "an item"), (("user_id", "rank"), "a rank")):
        if table.select(pair).is_duplicated().any():
            raise DataError(f"{path} holds {fault} twice for one user: give each user one list, ranked from 1")
    if table.is_empty() or table.filter(pl.col("rank") < 1).height:
        raise DataError(f"{path} is empty or holds a rank below 1: give each user one list, ranked from 1")
    known = table.join(context, on=["user_id", "item_id"], how="semi").height
    if known:
        raise DataError(f"{path} lists {known} items of their own user's context: leave them out")
    return RANKED_LISTS.validate(table)


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


def _columns_of(path: Path, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    if not path.is_file():
        raise DataError(f"{path} does not exist: make the folder with `python -m benchmarks.peers split`")
    try:
        table = pl.read_parquet(path)
        table = table.select(*columns).cast(columns)  # type: ignore[arg-type]  # polars wants a wider key type
    except pl.exceptions.PolarsError as fault:
        raise DataError(f"{path} is not a table of {', '.join(columns)}: {str(fault)[:200]}") from fault
    if any(table.null_count().row(0)):
        raise DataError(f"{path} holds empty cells: each row needs {', '.join(columns)}")
    return table
