"""A row of the comparison on disk, and what a model may see of it.

    fit.parquet       ratings to fit on               user_id, item_id, rating, timestamp
    context.parquet   all that is known of each judged user before the targets: to be folded in, never to be recommended
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
    """What was known before the targets.

    Attributes:
        train: the histories to fit on.
        contexts: the users to be listed for, and what each had shown.
        catalogue: the items of both: those that somebody rated in `fit.parquet`.
        fit_end: seconds UTC; one second after the last rating to fit on, for models that look back from the present.
    """

    train: Histories
    contexts: Histories
    catalogue: Catalogue
    fit_end: int


def known_of(folder: Path) -> Known:
    """Read what is to be fitted on and folded in; a rating of an item that the fit has not seen is left out.

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
    """user_id, item_id of every liked item that is to be found. Nothing else reads them.

    Raises:
        DataError: the file is missing, empty, or not a table of ratings.
    """
    return table_of(folder / "test.parquet").select("user_id", "item_id")


def tuning_data(folder: Path) -> str:
    """SHA-256 of the data that settings are chosen on: settings of another row would be a quiet mistake.

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
    """RANKED_LISTS of another recommender, under a name of its own; its scores are not looked at.

    Args:
        name: how the table calls it.
        path: user_id, item_id, rank (from 1), and anything else.
        context: user_id, item_id of what the users had shown.

    Raises:
        DataError: the file is no table of lists, two items share a rank, or an item of a user's context is listed.
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
        raise DataError(f"{path} lists {known} items that stand in their own user's context: leave them out")
    return RANKED_LISTS.validate(table)


def _columns_of(path: Path, columns: dict[str, pl.DataType]) -> pl.DataFrame:
    if not path.is_file():
        raise DataError(f"{path} does not exist: make the folder by `python -m benchmarks.peers split`")
    try:
        table = pl.read_parquet(path)
        table = table.select(*columns).cast(columns)  # type: ignore[arg-type]  # polars wants a wider key type
    except pl.exceptions.PolarsError as fault:
        raise DataError(f"{path} is no table of {', '.join(columns)}: {str(fault)[:200]}") from fault
    if any(table.null_count().row(0)):
        raise DataError(f"{path} holds empty cells: each row needs {', '.join(columns)}")
    return table
