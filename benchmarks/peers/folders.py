"""The folder of one comparison, and what a model may read of it.

    fit.parquet       ratings to fit on               user_id, item_id, rating, timestamp
    context.parquet   the history of each judged user before the targets: folded in, and never recommended again
    test.parquet      the targets: liked items to be found
    movies.parquet    item_id, title, genres
    tune/             fit, context and test one step earlier in time: every setting is chosen here

Only `targets_of` opens a `test.parquet`.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of
from recsys_core.data.movielens.sources import source_version
from recsys_core.data.schemas import RATINGS_COLUMNS
from recsys_core.errors import DataError
from recsys_core.evaluation.protocols import RANKED_LISTS

TUNING = "tune"


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
