"""Tables from outside -> the tables that the stages read, and the way back to the ids that they came with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from recsys_core.data.movies import split_title
from recsys_core.data.schemas import LATEST_TIMESTAMP, MOVIES_COLUMNS, RATING_STEPS, RATINGS_COLUMNS
from recsys_core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class BenchData:
    """What to fit on and whom to ask about; ids are dense numbers that mean nothing outside.

    Attributes:
        train: RATINGS columns, one row per user and item.
        context: the same for the users who are asked about: all that is known of them.
        movies: MOVIES columns of every item of either; without title, genres or year where the source has none.
        user_ids: the id of each user number, as it came.
        item_ids: the id of each item number, as it came.
    """

    train: pl.DataFrame
    context: pl.DataFrame
    movies: pl.DataFrame
    user_ids: pl.Series
    item_ids: pl.Series


def read_bench_data(train: Path, movies: Path, context: Path) -> BenchData:
    """Read the three Parquet files.

    Ratings have user_id, item_id, rating (0.5 to 5 stars) and timestamp (seconds, milliseconds or a date and time).
    Without a timestamp, or where it is the same everywhere, the order of the rows is the order of time. Of several
    ratings of one user and item the latest counts. Movies have item_id, title and genres (a list, or names joined by
    '|'); all but item_id may be absent, a year is read from the title, and an item may be missing altogether.

    Raises:
        DataError: a file cannot be read, or what is wrong in it, with row and column.
    """
    rated = {"train": _ratings(train), "context": _ratings(context)}
    if rated["train"].is_empty():
        raise DataError(f"{train} has no ratings: there is nothing to fit on")
    rated = _on_one_clock(rated)
    both = pl.concat([table.select("user_id", "item_id") for table in rated.values()], how="vertical_relaxed")
    users, items = both["user_id"].unique().sort(), both["item_id"].unique().sort()
    numbered = {
        name: _latest(
            table.with_columns(
                user_id=table["user_id"].cast(users.dtype).replace_strict(users, _numbers(users)),
                item_id=table["item_id"].cast(items.dtype).replace_strict(items, _numbers(items)),
            )
        )
        for name, table in rated.items()
    }
    return BenchData(**numbered, movies=_movies(movies, items), user_ids=users, item_ids=items)


def _numbers(ids: pl.Series) -> pl.Series:
    return pl.int_range(len(ids), dtype=pl.Int64, eager=True)


def _read(path: Path, needed: tuple[str, ...]) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path)
    except (OSError, PolarsError) as fault:
        raise DataError(f"{path} cannot be read as Parquet: {' '.join(str(fault).split())[:200]}") from fault
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise DataError(f"{path} has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    return table


def _ratings(path: Path) -> pl.DataFrame:
    """user_id, item_id, rating, timestamp (Int64, null everywhere if there is none), row by row as they came."""
    table = _read(path, ("user_id", "item_id", "rating"))
    if "timestamp" not in table.columns:
        table = table.with_columns(timestamp=pl.lit(None, pl.Int64))
    if table["timestamp"].dtype.is_temporal():
        table = table.with_columns(pl.col("timestamp").cast(pl.Datetime).dt.epoch("s"))
    columns = pl.Schema({name: RATINGS_COLUMNS[name] for name in ("rating", "timestamp")})
    typed = table.select(*RATINGS_COLUMNS).cast(columns, strict=False)
    timed = typed["timestamp"].null_count() < typed.height
    for name in RATINGS_COLUMNS:
        if name != "timestamp" or timed:
            _refuse(path, name, table[name], typed[name].is_null(), "is not a number" if name in columns else "is null")
    _refuse(path, "timestamp", table["timestamp"], (typed["timestamp"] < 0).fill_null(value=False), "is before 1970")
    least, most = RATING_STEPS[0], RATING_STEPS[-1]
    outside = ~typed["rating"].is_between(least, most).fill_null(value=False)
    _refuse(path, "rating", table["rating"], outside, f"is not between {least} and {most} stars")
    return typed


def _refuse(path: Path, column: str, values: pl.Series, bad: pl.Series, what: str) -> None:
    if bad.any():
        row = int(bad.arg_true()[0])
        raise DataError(f"{path}, row {row + 1}, column {column}: {values[row]} {what} ({bad.sum()} such rows)")


def _on_one_clock(rated: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Both tables with timestamps in seconds; where they tell no order, the number of the row is the second."""
    stamps = pl.concat([table["timestamp"] for table in rated.values()])
    if stamps.null_count() or stamps.n_unique() == 1:
        return {
            name: table.with_columns(timestamp=pl.int_range(table.height, dtype=pl.Int64, eager=True))
            for name, table in rated.items()
        }
    latest, unit = int(stamps.max()), 1  # type: ignore[arg-type]  # a column of integers without nulls
    while latest // unit > LATEST_TIMESTAMP:  # milliseconds or finer
        unit *= 1000
    return {name: table.with_columns(pl.col("timestamp") // unit) for name, table in rated.items()}


def _latest(table: pl.DataFrame) -> pl.DataFrame:
    """The latest rating of each user and item, of equal seconds the last row; sorted by time."""
    ordered = table.sort("timestamp", maintain_order=True).unique(["user_id", "item_id"], keep="last")
    return ordered.sort("timestamp", "user_id", "item_id")


def _movies(path: Path, items: pl.Series) -> pl.DataFrame:
    table = _read(path, ("item_id",)).unique("item_id", keep="first", maintain_order=True)
    known = pl.DataFrame({"item_id": items, "number": _numbers(items)})
    try:
        found = known.join(table.with_columns(pl.col("item_id").cast(items.dtype)), on="item_id", how="left")
    except PolarsError as fault:
        raise DataError(
            f"{path}: its item_id is {table['item_id'].dtype}, that of the ratings {items.dtype}: they do not match"
        ) from fault
    titles = _column(found, "title", pl.String()).fill_null("").to_list()
    parted = [split_title(title) for title in titles]
    years = _column(found, "year", pl.Int32()).to_list()
    return pl.DataFrame(
        {
            "item_id": found["number"],
            "title": [part.title for part in parted],
            "genres": _genres(found),
            "year": [part.year if year is None else year for part, year in zip(parted, years, strict=True)],
        },
        schema=MOVIES_COLUMNS,
    ).sort("item_id")


def _column(table: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.Series:
    if name not in table.columns:
        return pl.Series(name, [None] * table.height, dtype=dtype)
    return table[name].cast(dtype, strict=False)


def _genres(table: pl.DataFrame) -> pl.Series:
    """(n_items,) lists of genres; [] where none are told."""
    told = table["genres"] if "genres" in table.columns else pl.Series([None] * table.height, dtype=pl.String)
    if told.dtype == pl.String:
        told = told.str.split("|")
    lists = told.to_list() if told.dtype == pl.List else [None] * table.height
    names = [[str(name).strip() for name in names or [] if name is not None] for names in lists]
    return pl.Series("genres", names, dtype=pl.List(pl.String))


def write_lists(lists: pl.DataFrame, path: Path) -> None:
    """Write Parquet whole or not at all.

    Raises:
        DataError: the folder does not exist or may not be written to.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        lists.write_parquet(part)
        part.replace(path)
    except OSError as fault:
        raise DataError(f"{path} cannot be written: {fault}") from fault
    finally:
        part.unlink(missing_ok=True)


def as_they_came(numbers: npt.NDArray[np.int64], ids: pl.Series) -> pl.Series:
    """The outside ids of some numbers."""
    return ids.gather(numbers)
